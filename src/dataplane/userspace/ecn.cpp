#include "dataplane/userspace/ecn.hpp"

#include "wire/ip/packet.hpp"

namespace espalier::dataplane::userspace {

bool decapsulate_ecn(MutableByteView inner, std::uint8_t inner_class, std::uint8_t outer_class) {
  constexpr std::uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3;
  const std::uint8_t outer = outer_class & 3, mine = inner_class & 3;
  if (outer == kNotEct) return true;
  if (mine == kNotEct) return outer != kCe;
  if (outer == kCe && mine != kCe) wire::ip::set_ecn(inner, kCe);
  if (outer == kEct1 && mine == kEct0) wire::ip::set_ecn(inner, kEct1);
  return true;
}

}  // namespace espalier::dataplane::userspace
