// Fuzz target of the IKEv2 codec. Input: a datagram; and again, its first octet a payload type and
// the rest a chain. What parses must encode, and parse again to the same value.
#include <cstdint>

#include "wire/ike/message.hpp"

namespace espalier::wire::ike {
namespace {

// What encoding does not keep: the reserved octets of an identity as received, and a TS payload of
// which every selector was left out (one without any is malformed).
bool comparable(std::vector<Payload>& payloads) {
  for (Payload& payload : payloads) {
    if (auto* id = std::get_if<IdPayload>(&payload)) {
      ASSERT(id->body.size() == id->data.size() + 4);
      id->body[1] = id->body[2] = id->body[3] = 0;
    }
    const auto* ts = std::get_if<TsPayload>(&payload);
    if (ts != nullptr && ts->selectors.empty()) return false;
    if (std::holds_alternative<SkPayload>(payload)) return false;
    if (std::holds_alternative<SkfPayload>(payload)) return false;
  }
  return true;
}

void fuzz_message(ByteView input) {
  auto message = parse_message(input);
  if (!message.ok()) return;
  ASSERT(!describe(*message).empty());
  if (const auto* sk = message->find<SkPayload>()) {
    ASSERT(sk->aad_octets + sk->body.size() == input.size());
  }
  if (const auto* skf = message->find<SkfPayload>()) {
    ASSERT(skf->aad_octets + skf->body.size() == input.size());
  }
  if (!comparable(message->payloads)) return;
  const auto again = parse_message(encode_message(message->header, message->payloads));
  ASSERT(again.ok());
  ASSERT(again->payloads == message->payloads);
  // An unknown attribute is sent in another form than it came in, so the length may differ.
  Header header = message->header;
  header.length = again->header.length;
  ASSERT(again->header == header);
}

void fuzz_chain(ByteView input) {
  if (input.empty()) return;
  auto payloads = parse_payloads(static_cast<PayloadType>(input[0]), input.subspan(1));
  if (!payloads.ok() || !comparable(*payloads)) return;
  PayloadType first = PayloadType::kNone;
  const Bytes bytes = encode_payloads(*payloads, first);
  const auto again = parse_payloads(first, bytes);
  ASSERT(again.ok());
  ASSERT(*again == *payloads);
}

}  // namespace
}  // namespace espalier::wire::ike

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const espalier::ByteView input(data, size);
  espalier::wire::ike::fuzz_message(input);
  espalier::wire::ike::fuzz_chain(input);
  return 0;
}
