// The generator behind the property tests.
#include "wire/vici/samples.hpp"

namespace espalier::wire::vici::samples {
namespace {

using testing::Random;

std::string any_name(Random& random) {
  std::string name(random.below(12), ' ');
  for (char& c : name) c = static_cast<char>(0x20 + random.below(0x5f));
  return name;
}

std::string any_value(Random& random) {
  return to_text(random.bytes(0, random.below(20) == 0 ? 3000 : 20));
}

}  // namespace

Section any_section(Random& random, std::size_t depth) {
  Section section;
  for (std::size_t i = random.below(6); i > 0; --i) {
    Entry entry{any_name(random), any_value(random)};
    const std::size_t kind = random.below(depth == 0 ? 2 : 3);
    if (kind == 1) {
      std::vector<std::string> items;
      for (std::size_t k = random.below(4); k > 0; --k) items.push_back(any_value(random));
      entry.value = std::move(items);
    }
    if (kind == 2) entry.value = any_section(random, depth - 1);
    section.append(std::move(entry));
  }
  return section;
}

Packet any_packet(Random& random) {
  Packet packet;
  packet.type = static_cast<PacketType>(random.below(8));
  if (has_name(packet.type)) packet.name = any_name(random);
  if (has_message(packet.type)) packet.message = any_section(random, 5);
  return packet;
}

}  // namespace espalier::wire::vici::samples
