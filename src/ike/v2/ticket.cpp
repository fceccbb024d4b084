#include "ike/v2/ticket.hpp"

#include "base/bytes.hpp"
#include "crypto/aead.hpp"
#include "crypto/prf.hpp"
#include "ike/core/limits.hpp"

namespace espalier::ike::v2 {
namespace {

// Version, generation of the key (section 6.1: "a key identity field"), number.
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kNumberOctets = 16;
constexpr std::size_t kPrefixOctets = 1 + 4 + kNumberOctets;
constexpr crypto::CipherSuite kCipher{crypto::EncrId::kAesGcm16, 256, crypto::IntegId::kNone};

// A key for each ticket: its number is the salt, and the cipher's nonce may stay what it is.
std::unique_ptr<crypto::Cipher> cipher_of(const SecretBytes& key, ByteView number) {
  const auto sizes = crypto::sizes(kCipher);
  ASSERT(sizes);
  const auto material =
      crypto::prf_plus(crypto::PrfId::kHmacSha2_256, key.reveal(), number, sizes->encr_key);
  ASSERT(material);
  auto cipher = crypto::make_cipher(kCipher, material->reveal(), ByteView());
  ASSERT(cipher);
  return std::move(*cipher);
}

void put(Writer& out, ByteView octets) {
  out.u16(static_cast<std::uint16_t>(octets.size()));
  out.bytes(octets);
}

std::optional<Bytes> take(Reader& in) {
  const auto size = in.u16();
  if (!size) return std::nullopt;
  const auto octets = in.take(*size);
  if (!octets) return std::nullopt;
  return to_vector(*octets);
}

Bytes encode(const TicketState& state, Instant expires) {
  Writer out;
  out.u64(static_cast<std::uint64_t>(expires.time_since_epoch().count()));
  for (const policy::Identity* id : {&state.idi, &state.idr}) {
    out.u8(static_cast<std::uint8_t>(id->type));
    put(out, id->data);
  }
  out.u16(static_cast<std::uint16_t>(state.suite.cipher.encr));
  out.u16(state.suite.cipher.key_bits);
  out.u16(static_cast<std::uint16_t>(state.suite.cipher.integ));
  out.u16(static_cast<std::uint16_t>(state.suite.prf));
  out.u16(static_cast<std::uint16_t>(state.suite.dh));
  for (const crypto::DhId method : state.suite.additional) {
    out.u16(static_cast<std::uint16_t>(method));
  }
  put(out, state.sk_d.reveal());
  out.u8(state.ppk ? 1 : 0);
  out.u64(static_cast<std::uint64_t>(state.auth_by.time_since_epoch().count()));
  put(out, state.mark);
  out.u8(static_cast<std::uint8_t>(state.path.size()));
  for (const crypto::CertificateId& certificate : state.path) {
    put(out, certificate.issuer_key);
    put(out, certificate.serial);
  }
  return out.take();
}

// Of what this engine sealed; nothing only when it is not.
std::optional<std::pair<TicketState, Instant>> decode(ByteView plain) {
  Reader in(plain);
  TicketState state;
  const auto expires = in.u64();
  if (!expires) return std::nullopt;
  for (policy::Identity* id : {&state.idi, &state.idr}) {
    const auto type = in.u8();
    auto data = take(in);
    if (!type || !data) return std::nullopt;
    *id = {static_cast<wire::ike::IdType>(*type), std::move(*data)};
  }
  std::array<std::uint16_t, 12> words{};
  static_assert(words.size() == 5 + std::tuple_size_v<policy::AdditionalKes>);
  for (std::uint16_t& word : words) {
    const auto value = in.u16();
    if (!value) return std::nullopt;
    word = *value;
  }
  state.suite.cipher = {static_cast<crypto::EncrId>(words[0]), words[1],
                        static_cast<crypto::IntegId>(words[2])};
  state.suite.prf = static_cast<crypto::PrfId>(words[3]);
  state.suite.dh = static_cast<crypto::DhId>(words[4]);
  for (std::size_t i = 0; i < state.suite.additional.size(); ++i) {
    state.suite.additional[i] = static_cast<crypto::DhId>(words[5 + i]);
  }
  auto sk_d = take(in);
  const auto ppk = in.u8();
  const auto auth_by = in.u64();
  auto mark = take(in);
  const auto certificates = in.u8();
  if (!sk_d || !ppk || !auth_by || !mark || !certificates) return std::nullopt;
  for (std::uint8_t i = 0; i < *certificates; ++i) {
    auto issuer_key = take(in);
    auto serial = take(in);
    if (!issuer_key || !serial) return std::nullopt;
    state.path.push_back({std::move(*issuer_key), std::move(*serial)});
  }
  if (!in.empty()) return std::nullopt;
  state.sk_d = SecretBytes(std::move(*sk_d));
  state.ppk = *ppk != 0;
  state.auth_by = Instant(Duration(static_cast<Duration::rep>(*auth_by)));
  state.mark = std::move(*mark);
  return std::pair(std::move(state), Instant(Duration(static_cast<Duration::rep>(*expires))));
}

Error refused(const char* why) { return make_error(ErrorCode::kAuthentication, why); }

}  // namespace

void forget_keys(TicketKeys& keys) {
  keys.current = SecretBytes();
  keys.previous = SecretBytes();
}

void refresh(TicketKeys& keys, crypto::Rng& rng, Instant now) {
  if (!keys.current.empty() && now - keys.made < kTicketKeyLifetime) return;
  keys.previous = now - keys.made < 2 * kTicketKeyLifetime ? keys.current : SecretBytes();
  keys.current = SecretBytes(rng.bytes(32));
  keys.made = now;
  // From a number that no engine before this one had.
  keys.generation = keys.generation == 0 ? rng.u32() : keys.generation + 1;
}

Bytes seal_ticket(const TicketKeys& keys, crypto::Rng& rng, const TicketState& state,
                  Instant expires) {
  Writer out;
  out.u8(kVersion);
  out.u32(keys.generation);
  const Bytes number = rng.bytes(kNumberOctets);
  out.bytes(number);
  const auto sizes = crypto::sizes(kCipher);
  ASSERT(sizes);
  Bytes body = encode(state, expires);
  Bytes icv(sizes->icv);
  const Bytes iv(sizes->iv);
  const Bytes prefix = out.take();
  crypto::SealItem item{prefix, iv, body, icv, {}};
  cipher_of(keys.current, number)->seal({&item, 1});
  Bytes ticket = prefix;
  ticket.insert(ticket.end(), body.begin(), body.end());
  ticket.insert(ticket.end(), icv.begin(), icv.end());
  return ticket;
}

Result<OpenedTicket> open_ticket(const TicketKeys& keys, ByteView ticket, Instant now) {
  const auto sizes = crypto::sizes(kCipher);
  ASSERT(sizes);
  if (ticket.size() < kPrefixOctets + sizes->icv || ticket[0] != kVersion) {
    return refused("the session ticket is none of ours");
  }
  Reader in(ticket.subspan(1));
  const std::uint32_t generation = *in.u32();
  const bool is_current = generation == keys.generation;
  const SecretBytes& key = is_current ? keys.current : keys.previous;
  if (key.empty() || (!is_current && generation + 1 != keys.generation)) {
    return refused("the key of the session ticket is gone: this end restarted, or it is too old");
  }
  Bytes body = to_vector(ticket.subspan(kPrefixOctets));
  Bytes icv(body.end() - static_cast<std::ptrdiff_t>(sizes->icv), body.end());
  body.resize(body.size() - sizes->icv);
  const Bytes iv(sizes->iv);
  const ByteView number = ticket.subspan(5, kNumberOctets);
  crypto::SealItem item{ticket.first(kPrefixOctets), iv, body, icv, {}};
  cipher_of(key, number)->open({&item, 1});
  if (!item.ok) return refused("the session ticket is none of ours, or was altered on its way");
  auto decoded = decode(body);
  wipe(body);
  if (!decoded) return refused("the session ticket is none of ours");
  if (decoded->second <= now) return refused("the session ticket has expired");
  return OpenedTicket{std::move(decoded->first), {decoded->second, to_vector(number)}};
}

Bytes credentials_mark(const policy::Connection& connection) {
  Writer all;
  all.u8(static_cast<std::uint8_t>(connection.auth));
  put(all, connection.remote_id.data);
  put(all, connection.local_id.data);
  for (const Bytes& anchor : connection.anchors) put(all, anchor);
  if (connection.ppk) {
    put(all, connection.ppk->id);
    put(all, connection.ppk->secret.reveal());
    all.u8(connection.ppk->required ? 1 : 0);
  }
  const Bytes inputs = all.take();
  const auto mark = crypto::prf(crypto::PrfId::kHmacSha2_256, connection.psk.reveal(), {inputs});
  ASSERT(mark);
  return to_vector(mark->reveal());
}

}  // namespace espalier::ike::v2
