#include "ike/core/seal.hpp"

#include <algorithm>

#include "ike/core/limits.hpp"

namespace espalier::ike {
namespace {

using wire::ike::Header;
using wire::ike::Payload;
using wire::ike::PayloadType;

// Octets of IV | padded plaintext | ICV for a plaintext of this size. One octet of Pad Length
// always follows.
std::size_t body_octets(std::size_t plaintext, const crypto::SuiteSizes& sizes) {
  const std::size_t block = std::max<std::size_t>(sizes.block, 1);
  const std::size_t padded = (plaintext + 1 + block - 1) / block * block;
  return sizes.iv + padded + sizes.icv;
}

Bytes make_iv(const crypto::SuiteSizes& sizes, bool aead, IvSource& source) {
  if (!aead) return source.rng.bytes(sizes.iv);
  Writer iv;
  iv.zeros(sizes.iv > 8 ? sizes.iv - 8 : 0);
  iv.u64(source.counter++);
  return iv.take();
}

Bytes seal_body(ByteView prefix, ByteView plaintext, const SealKeys& keys, IvSource& source) {
  const crypto::SuiteSizes sizes = crypto::sizes(keys.suite).value();
  const bool aead = keys.suite.integ == crypto::IntegId::kNone;
  const std::size_t body = body_octets(plaintext.size(), sizes);
  Bytes datagram = to_vector(prefix);
  datagram.reserve(prefix.size() + body);
  const Bytes iv = make_iv(sizes, aead, source);
  datagram.insert(datagram.end(), iv.begin(), iv.end());
  datagram.insert(datagram.end(), plaintext.begin(), plaintext.end());
  const std::size_t data_octets = body - sizes.iv - sizes.icv;
  const std::size_t padding = data_octets - plaintext.size() - 1;
  datagram.insert(datagram.end(), padding, 0);
  datagram.push_back(static_cast<std::uint8_t>(padding));
  datagram.insert(datagram.end(), sizes.icv, 0);

  auto cipher = crypto::make_cipher(keys.suite, keys.encr.reveal(), keys.integ.reveal());
  ASSERT(cipher);  // the keys were derived for this very suite
  crypto::SealItem item;
  const MutableByteView whole(datagram);
  item.aad = prefix;
  item.iv = iv;
  item.data = whole.subspan(prefix.size() + sizes.iv, data_octets);
  item.icv = whole.subspan(prefix.size() + sizes.iv + data_octets);
  (*cipher)->seal({&item, 1});
  return datagram;
}

Result<Bytes> open_body(ByteView datagram, std::size_t aad_octets, ByteView body,
                        const SealKeys& keys) {
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(keys.suite));
  const std::size_t block = std::max<std::size_t>(sizes.block, 1);
  if (body.size() < sizes.iv + 1 + sizes.icv) {
    return make_error(ErrorCode::kTruncated,
                      "the Encrypted payload is shorter than its IV and ICV");
  }
  const std::size_t data_octets = body.size() - sizes.iv - sizes.icv;
  if (data_octets % block != 0) {
    return make_error(ErrorCode::kMalformed,
                      "the Encrypted payload is not a whole number of blocks");
  }
  TRY_ASSIGN(auto cipher, crypto::make_cipher(keys.suite, keys.encr.reveal(), keys.integ.reveal()));
  Bytes data = to_vector(body.subspan(sizes.iv, data_octets));
  Bytes icv = to_vector(body.subspan(sizes.iv + data_octets));
  crypto::SealItem item;
  item.aad = datagram.first(aad_octets);
  item.iv = body.first(sizes.iv);
  item.data = data;
  item.icv = icv;
  cipher->open({&item, 1});
  if (!item.ok) {
    return make_error(ErrorCode::kAuthentication,
                      "the integrity check of the Encrypted payload failed");
  }
  const std::size_t padding = data.back();
  if (padding + 1 > data.size()) {
    return make_error(ErrorCode::kMalformed,
                      "the Encrypted payload's pad length exceeds its contents");
  }
  data.resize(data.size() - padding - 1);
  return data;
}

std::vector<Bytes> seal_fragments(const Header& header, PayloadType first, ByteView plaintext,
                                  const SealKeys& keys, IvSource& iv, std::size_t fragment_octets) {
  const crypto::SuiteSizes sizes = crypto::sizes(keys.suite).value();
  const std::size_t block = std::max<std::size_t>(sizes.block, 1);
  // Fragment payload header: generic header (4) and the two fragment numbers (4).
  const std::size_t fixed = wire::ike::kHeaderOctets + 8 + sizes.iv + sizes.icv + 1 + block;
  const std::size_t chunk =
      std::max<std::size_t>(fragment_octets > fixed ? fragment_octets - fixed : 0, 64);
  const std::size_t total = (plaintext.size() + chunk - 1) / chunk;
  std::vector<Bytes> fragments;
  for (std::size_t i = 0; i < total; ++i) {
    const ByteView part =
        plaintext.subspan(i * chunk, std::min(chunk, plaintext.size() - i * chunk));
    const Bytes prefix = wire::ike::encode_skf_prefix(
        header, i == 0 ? first : PayloadType::kNone, static_cast<std::uint16_t>(i + 1),
        static_cast<std::uint16_t>(total), body_octets(part.size(), sizes));
    fragments.push_back(seal_body(prefix, part, keys, iv));
  }
  return fragments;
}

}  // namespace

Bytes seal_octets(const Header& header, PayloadType first, ByteView plaintext, const SealKeys& keys,
                  IvSource iv) {
  const crypto::SuiteSizes sizes = crypto::sizes(keys.suite).value();
  const Bytes prefix =
      wire::ike::encode_sk_prefix(header, first, body_octets(plaintext.size(), sizes));
  return seal_body(prefix, plaintext, keys, iv);
}

std::vector<Bytes> seal(const Header& header, const std::vector<Payload>& payloads,
                        const SealKeys& keys, IvSource iv, std::size_t fragment_octets) {
  PayloadType first = PayloadType::kNone;
  Bytes plaintext = wire::ike::encode_payloads(payloads, first);
  const crypto::SuiteSizes sizes = crypto::sizes(keys.suite).value();
  const std::size_t body = body_octets(plaintext.size(), sizes);
  std::vector<Bytes> datagrams;
  if (fragment_octets != 0 && wire::ike::kHeaderOctets + 4 + body > fragment_octets) {
    datagrams = seal_fragments(header, first, plaintext, keys, iv, fragment_octets);
  } else {
    datagrams.push_back(
        seal_body(wire::ike::encode_sk_prefix(header, first, body), plaintext, keys, iv));
  }
  wipe(plaintext);
  return datagrams;
}

Result<std::vector<Payload>> open_sk(ByteView datagram, const wire::ike::SkPayload& sk,
                                     const SealKeys& keys) {
  TRY_ASSIGN(const Bytes plaintext, open_plain(datagram, sk, keys));
  return wire::ike::parse_payloads(sk.first_inner, plaintext);
}

Result<Bytes> open_plain(ByteView datagram, const wire::ike::SkPayload& sk, const SealKeys& keys) {
  return open_body(datagram, sk.aad_octets, sk.body, keys);
}

Result<Bytes> open_skf(ByteView datagram, const wire::ike::SkfPayload& skf, const SealKeys& keys) {
  return open_body(datagram, skf.aad_octets, skf.body, keys);
}

}  // namespace espalier::ike
