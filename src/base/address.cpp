#include "base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace espalier {

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress address;
  for (unsigned i = 0; i < 4; ++i) {
    address.octets_[i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  }
  return address;
}

IpAddress IpAddress::any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

Result<IpAddress> IpAddress::from_bytes(ByteView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return make_error(ErrorCode::kMalformed,
                      "an IP address has 4 or 16 octets, not " + std::to_string(bytes.size()));
  }
  IpAddress address;
  address.family_ = bytes.size() == 4 ? Family::kIpv4 : Family::kIpv6;
  std::copy(bytes.begin(), bytes.end(), address.octets_.begin());
  return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);
  IpAddress address;
  // inet_pton would stop at a NUL and take what stands before it for the whole.
  if (copy.find('\0') != std::string::npos) {
    return make_error(ErrorCode::kMalformed, "an IP address holds no NUL character");
  }
  if (inet_pton(AF_INET, copy.c_str(), address.octets_.data()) == 1) return address;
  address.family_ = Family::kIpv6;
  if (inet_pton(AF_INET6, copy.c_str(), address.octets_.data()) == 1) return address;
  return make_error(ErrorCode::kMalformed,
                    std::string("'") + copy + "' is not an IPv4 or IPv6 address");
}

bool IpAddress::is_unspecified() const {
  return std::all_of(octets_.begin(), octets_.end(), [](std::uint8_t o) { return o == 0; });
}

std::uint32_t IpAddress::v4_host_order() const {
  ASSERT(is_v4());
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) value = value << 8 | octets_[i];
  return value;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, octets_.data(), text, sizeof text);
  return text;
}

IpAddress IpAddress::next() const {
  IpAddress address = *this;
  for (std::size_t i = bytes().size(); i-- > 0;) {
    if (++address.octets_[i] != 0) break;
  }
  return address;
}

std::string SocketAddress::to_string() const {
  return ip.to_string() + "[" + std::to_string(port) + "]";
}

namespace {

// The address with its bits after the first `length` set to `fill` (all zeros or all ones).
IpAddress with_host_bits(const IpAddress& ip, unsigned length, bool fill) {
  Bytes octets = to_vector(ip.bytes());
  for (unsigned bit = length; bit < ip.bits(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80u >> (bit % 8));
    if (fill) {
      octets[bit / 8] |= mask;
    } else {
      octets[bit / 8] &= static_cast<std::uint8_t>(~mask);
    }
  }
  return IpAddress::from_bytes(octets).value();
}

}  // namespace

Result<Prefix> Prefix::make(IpAddress ip, unsigned length) {
  if (length > ip.bits()) {
    return make_error(ErrorCode::kMalformed, "a prefix length of " + std::to_string(length) +
                                                 " is more than the " + std::to_string(ip.bits()) +
                                                 " bits of " + ip.to_string());
  }
  return Prefix{with_host_bits(ip, length, false), static_cast<std::uint8_t>(length)};
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  TRY_ASSIGN(const IpAddress ip, IpAddress::parse(text.substr(0, slash)));
  if (slash == std::string_view::npos) return host(ip);
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) {
    return make_error(ErrorCode::kMalformed, std::string("'") + std::string(text) +
                                                 "' has no whole number after its slash");
  }
  TRY_ASSIGN(const Prefix prefix, make(ip, length));
  if (prefix.ip != ip) {
    return make_error(ErrorCode::kMalformed,
                      std::string("'") + std::string(text) +
                          "' has bits set after its prefix length; the network is " +
                          prefix.to_string());
  }
  return prefix;
}

IpAddress Prefix::last() const { return with_host_bits(ip, length, true); }

bool Prefix::contains(const IpAddress& address) const {
  return address.family() == ip.family() && first() <= address && address <= last();
}

bool Prefix::contains(const Prefix& other) const {
  return other.ip.family() == ip.family() && other.length >= length && contains(other.ip);
}

std::string Prefix::to_string() const { return ip.to_string() + "/" + std::to_string(length); }

}  // namespace espalier
