#include "policy/manual.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "policy/limits.hpp"
#include "policy/proposal.hpp"

namespace espalier::policy {
namespace {

Error bad(std::string message) { return make_error(ErrorCode::kBadInput, std::move(message)); }

constexpr std::uint32_t kFirstFreeSpi = 256;

constexpr std::string_view kWhyNoCounters =
    "a cipher that counts (GCM, CCM, GMAC, CTR, ChaCha20-Poly1305) must never use a number twice "
    "under one key, and manual keys outlive a restart, after which the numbers start again: that "
    "gives the plaintext and the authentication away. Take CBC with an HMAC: aes256-sha256";

bool counts(std::string_view words) {
  for (const std::string_view mark : {"gcm", "ccm", "gmac", "ctr", "chacha"}) {
    if (words.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

ManualTunnel mirrored(const ManualTunnel& tunnel) {
  ManualTunnel other = tunnel;
  std::swap(other.local, other.remote);
  std::swap(other.local_ts, other.remote_ts);
  std::vector<Service> except;
  for (const Service& service : tunnel.except) except.push_back(flipped(service));
  other.except = std::move(except);
  for (ManualKeys& keys : other.keys) {
    std::swap(keys.spi_in, keys.spi_out);
    std::swap(keys.encr_in, keys.encr_out);
    std::swap(keys.integ_in, keys.integ_out);
  }
  return other;
}

Connection traffic_of(const ManualTunnel& tunnel) {
  Connection connection;
  connection.name = tunnel.name;
  connection.local_addresses = {tunnel.local};
  connection.remote_addresses = {tunnel.remote};
  connection.protect = Protect::kRequire;
  connection.except = tunnel.except;
  ChildConfig child;
  child.name = tunnel.name;
  child.mode = tunnel.mode;
  child.local_ts = tunnel.local_ts;
  child.remote_ts = tunnel.remote_ts;
  connection.children.push_back(std::move(child));
  return connection;
}

ManualUse manual_use(const ManualTunnel& tunnel, std::int64_t unix_now) {
  ASSERT(!tunnel.keys.empty());
  const auto start = [&](std::size_t i) { return tunnel.keys[i].from.value_or(INT64_MIN); };
  ManualUse use;
  const auto consider = [&](std::int64_t at) {
    if (at > unix_now && (!use.next_change || at < *use.next_change)) use.next_change = at;
  };
  const std::int64_t overlap = whole_seconds(tunnel.overlap);
  for (std::size_t i = 0; i < tunnel.keys.size(); ++i) {
    if (start(i) <= unix_now) use.outbound = i;
    if (i > 0) consider(start(i));
    bool over = false;
    if (i + 1 < tunnel.keys.size()) {
      const std::int64_t end = start(i + 1) + overlap;
      over = end <= unix_now;
      consider(end);
    }
    if (!over) use.inbound.push_back(i);
  }
  return use;
}

Result<Spi> check_manual_spi(std::uint64_t value, std::string_view as_written) {
  if (value < kFirstFreeSpi) {
    return bad(fmt::format(
        "is {}, which is {}; take one from 256 (0x100) on{}", as_written,
        value == 0 ? "reserved for local use and never sent" : "reserved by IANA",
        value >= 100 && value < kFirstFreeSpi
            ? " (a device that writes SPIs in hex means 0x" + std::string(as_written) + ")"
            : ""));
  }
  if (value > UINT32_MAX) {
    return bad(
        fmt::format("is {}, and an SPI has 32 bits: at most 4294967295 (0xffffffff)", as_written));
  }
  return Spi(static_cast<std::uint32_t>(value));
}

Result<Spi> parse_manual_spi(std::string_view text) {
  const std::string shown = "'" + std::string(text.substr(0, 40)) + "'";
  const bool hex = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X";
  const std::string_view digits = hex ? text.substr(2) : text;
  std::uint64_t value = 0;
  const auto [end, fault] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  const bool sign = !digits.empty() && digits[0] == '-';
  if (digits.empty() || sign || end != digits.data() + digits.size()) {
    return bad("is " + shown + "; an SPI is a decimal number, or hex with 0x in front");
  }
  if (!hex && digits.size() > 1 && digits[0] == '0') {
    return bad("is " + shown +
               ", a number with a leading zero; write it without, or as 0x and hex");
  }
  if (fault != std::errc()) value = UINT64_MAX;
  return check_manual_spi(value, text.substr(0, 40));
}

std::string spi_words(Spi spi) { return fmt::format("{} (0x{:x})", spi.value, spi.value); }

Result<crypto::CipherSuite> parse_manual_suite(std::string_view words) {
  const std::string shown = "'" + std::string(words.substr(0, 80)) + "'";
  if (counts(words)) return bad("is " + shown + ": " + std::string(kWhyNoCounters));
  const auto proposal = parse_esp_proposal(words);
  if (!proposal) return bad("is " + shown + ": " + proposal.error().message);
  if (!proposal->dh.empty() || !proposal->additional.empty()) {
    return bad("is " + shown + ": manual keys come from no key exchange");
  }
  if (proposal->esn != proposal->no_esn && proposal->esn) {
    return bad("is " + shown + ": extended sequence numbers are negotiated, and here nothing is");
  }
  if (proposal->encr.size() != 1 || proposal->integ.size() != 1) {
    return bad("is " + shown + "; write one cipher and one HMAC, such as aes256-sha256");
  }
  if (proposal->encr.front().id == crypto::EncrId::kNull) {
    return bad("is " + shown + ", which does not encrypt; take aes256-sha256");
  }
  return crypto::CipherSuite{proposal->encr.front().id, proposal->encr.front().key_bits,
                             proposal->integ.front()};
}

std::string suite_words(const crypto::CipherSuite& suite) {
  return words(ChildSuite{suite, crypto::DhId::kNone, false, {}});
}

std::string_view name(KeyUse use) {
  return use == KeyUse::kEncryption ? "encryption" : "authentication";
}

std::size_t key_octets(const crypto::CipherSuite& suite, KeyUse use) {
  const auto sizes = crypto::sizes(suite);
  if (!sizes) return 0;
  return use == KeyUse::kEncryption ? sizes->encr_key : sizes->integ_key;
}

Status check_manual_key(const crypto::CipherSuite& suite, KeyUse use, ByteView key) {
  const std::size_t wanted = key_octets(suite, use);
  if (key.size() != wanted) {
    return bad(fmt::format("has {} octets, and the {} key of {} has {} ({} hex digits)", key.size(),
                           name(use), suite_words(suite), wanted, 2 * wanted));
  }
  const std::string weak = weakness(key);
  if (weak.empty()) return {};
  return bad(
      fmt::format("{}: make one with 'espalier manual new --suite {}'", weak, suite_words(suite)));
}

}  // namespace espalier::policy
