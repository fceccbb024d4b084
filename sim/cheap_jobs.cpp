#include "sim/cheap_jobs.hpp"

#include <algorithm>

#include "sim/hash.hpp"

namespace espalier::sim {
namespace {

using crypto::DhId;

// The groups whose public values both ends make alike, and the octets of their secrets; 0: others.
std::size_t shared_octets(DhId group) {
  switch (group) {
    case DhId::kX25519:
    case DhId::kEcp256: return 32;
    case DhId::kEcp384: return 48;
    case DhId::kModp2048:
    case DhId::kModp3072: return crypto::info(group)->public_octets;
    default: return 0;
  }
}

Bytes stretch(std::uint64_t from, std::size_t octets) {
  crypto::SeededRng source(from);
  return source.bytes(octets);
}

crypto::DhKeyPair generate(DhId group, crypto::Rng& rng) {
  crypto::DhKeyPair pair;
  pair.group = group;
  const std::uint64_t secret = rng.u64();
  Bytes octets(8);
  for (unsigned i = 0; i < 8; ++i) octets[i] = static_cast<std::uint8_t>(secret >> (56 - 8 * i));
  pair.private_key = SecretBytes(std::move(octets));
  pair.public_key =
      stretch(mix(secret, static_cast<std::uint64_t>(group)), crypto::info(group)->public_octets);
  return pair;
}

ike::JobResult agree(const crypto::DhKeyPair& own, ByteView peer_public) {
  ike::JobResult out;
  if (peer_public.size() != own.public_key.size()) {
    out.error = make_error(ErrorCode::kInvalidKe, "the peer's public value has a wrong length");
    return out;
  }
  const std::uint64_t a = fingerprint(own.public_key);
  const std::uint64_t b = fingerprint(peer_public);
  out.shared = SecretBytes(stretch(mix(std::min(a, b), std::max(a, b)), shared_octets(own.group)));
  return out;
}

}  // namespace

ike::JobResult run_cheap_job(const ike::Job& job, crypto::Rng& rng, const ike::KeyStore& keys,
                             std::int64_t now_utc) {
  if (const auto* make = std::get_if<ike::DhGenerateJob>(&job);
      make != nullptr && shared_octets(make->group) > 0) {
    ike::JobResult out;
    out.key_pair = generate(make->group, rng);
    return out;
  }
  if (const auto* shared = std::get_if<ike::DhSharedJob>(&job);
      shared != nullptr && shared_octets(shared->own.group) > 0) {
    return agree(shared->own, shared->peer_public);
  }
  if (const auto* respond = std::get_if<ike::DhRespondJob>(&job);
      respond != nullptr && shared_octets(respond->group) > 0) {
    crypto::DhKeyPair pair = generate(respond->group, rng);
    ike::JobResult out = agree(pair, respond->peer_public);
    pair.private_key = SecretBytes();
    out.key_pair = std::move(pair);
    return out;
  }
  return ike::run_job(job, rng, keys, now_utc);
}

}  // namespace espalier::sim
