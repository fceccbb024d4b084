// Fuzz target of the VICI codec. Input: a stream, pushed whole and in pieces whose sizes come from
// the input itself; the packets must be the same, and what parses must encode to the octets it came
// from.
#include <algorithm>
#include <cstdint>

#include "wire/vici/message.hpp"

namespace espalier::wire::vici {
namespace {

struct Outcome {
  std::vector<Bytes> packets;
  std::optional<Error> error;
  std::size_t pending = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Takes what the framer has ready; false after an error.
bool drain(Framer& framer, Outcome& outcome) {
  while (true) {
    auto packet = framer.next();
    if (!packet.ok()) {
      outcome.error = packet.error();
      return false;
    }
    if (!packet->has_value()) return true;
    outcome.packets.push_back(std::move(**packet));
  }
}

Outcome run(ByteView stream, bool in_pieces) {
  Framer framer;
  Outcome outcome;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::size_t wanted = in_pieces ? std::size_t{stream[at]} + 1 : stream.size();
    const std::size_t count = std::min(wanted, stream.size() - at);
    framer.push(stream.subspan(at, count));
    at += count;
    if (!drain(framer, outcome)) break;
  }
  outcome.pending = framer.pending();
  return outcome;
}

void fuzz_packet(ByteView input) {
  const auto packet = parse_packet(input);
  if (!packet.ok()) return;
  const auto bytes = encode_packet(*packet);
  ASSERT(bytes.ok());
  ASSERT(equal(*bytes, input));
  // Every entry at the top is found by its name, unless an earlier one hides it.
  for (const Entry& entry : packet->message.entries()) {
    ASSERT(packet->message.get(entry.name) || packet->message.get_list(entry.name) ||
           packet->message.get_section(entry.name));
  }
}

}  // namespace
}  // namespace espalier::wire::vici

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espalier::wire::vici;
  const espalier::ByteView input(data, size);
  const Outcome whole = run(input, false);
  ASSERT(whole == run(input, true));
  for (const espalier::Bytes& packet : whole.packets) fuzz_packet(packet);
  fuzz_packet(input);
  return 0;
}
