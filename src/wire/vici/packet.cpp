// Packets, and names within them.
#include <fmt/format.h>

#include <algorithm>

#include "wire/vici/codec.hpp"
#include "wire/vici/limits.hpp"

namespace espalier::wire::vici {
namespace {

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

Error fault(ErrorCode code, std::size_t offset, std::string_view what) {
  return make_error(code, fmt::format("VICI at offset {}: {}", offset, what));
}

// strongSwan refuses names that are not printable, so such a name could never reach a client
// either.
Result<std::string> parse_name(Reader& reader, std::string_view what) {
  const std::size_t offset = reader.offset();
  if (reader.empty()) {
    return fault(ErrorCode::kTruncated, offset, fmt::format("the length of {} is cut off", what));
  }
  TRY_ASSIGN(const std::uint8_t size, reader.u8());
  if (reader.remaining() < size) {
    return fault(ErrorCode::kTruncated, offset,
                 fmt::format("{} of {} octets, and {} remain", what, size, reader.remaining()));
  }
  TRY_ASSIGN(const ByteView octets, reader.take(size));
  std::string name = to_text(octets);
  if (!is_printable(name)) {
    return fault(ErrorCode::kMalformed, offset, fmt::format("{} is not printable ASCII", what));
  }
  return name;
}

Status write_name(Writer& writer, std::string_view name) {
  if (name.size() > kMaxNameOctets) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("a VICI name of {} octets, and at most {} can be sent: '{}...'",
                                  name.size(), kMaxNameOctets, name.substr(0, 40)));
  }
  if (!is_printable(name)) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("a VICI name that is not printable ASCII (in hexadecimal: {})",
                                  to_hex(as_bytes(name))));
  }
  writer.u8(static_cast<std::uint8_t>(name.size()));
  writer.bytes(as_bytes(name));
  return {};
}

std::string_view name(PacketType type) {
  switch (type) {
    case PacketType::kCmdRequest: return "CMD_REQUEST";
    case PacketType::kCmdResponse: return "CMD_RESPONSE";
    case PacketType::kCmdUnknown: return "CMD_UNKNOWN";
    case PacketType::kEventRegister: return "EVENT_REGISTER";
    case PacketType::kEventUnregister: return "EVENT_UNREGISTER";
    case PacketType::kEventConfirm: return "EVENT_CONFIRM";
    case PacketType::kEventUnknown: return "EVENT_UNKNOWN";
    case PacketType::kEvent: return "EVENT";
  }
  return "unknown";
}

bool has_name(PacketType type) {
  return type == PacketType::kCmdRequest || type == PacketType::kEventRegister ||
         type == PacketType::kEventUnregister || type == PacketType::kEvent;
}

bool has_message(PacketType type) {
  return type == PacketType::kCmdRequest || type == PacketType::kCmdResponse ||
         type == PacketType::kEvent;
}

Result<Packet> parse_packet(ByteView bytes) {
  if (bytes.size() > kMaxPacketOctets) {
    return fault(ErrorCode::kLimit, 0,
                 fmt::format("a packet of {} octets, and at most {} are accepted", bytes.size(),
                             kMaxPacketOctets));
  }
  if (bytes.empty()) return fault(ErrorCode::kTruncated, 0, "a packet without octets");
  Reader reader(bytes);
  TRY_ASSIGN(const std::uint8_t type, reader.u8());
  if (type > static_cast<std::uint8_t>(PacketType::kEvent)) {
    return fault(ErrorCode::kMalformed, 0, fmt::format("there is no packet of type {}", type));
  }
  Packet packet;
  packet.type = static_cast<PacketType>(type);
  if (has_name(packet.type)) {
    TRY_ASSIGN(packet.name, parse_name(reader, "the command's or event's name"));
  }
  if (has_message(packet.type)) {
    TRY_ASSIGN(packet.message, parse_message(reader.take_rest()));
  } else if (!reader.empty()) {
    return fault(ErrorCode::kMalformed, reader.offset(),
                 fmt::format("{} octets follow a packet of type {}, which has no message",
                             reader.remaining(), name(packet.type)));
  }
  return packet;
}

Result<Bytes> encode_packet(const Packet& packet) {
  Writer writer;
  writer.u8(static_cast<std::uint8_t>(packet.type));
  if (has_name(packet.type)) TRY(write_name(writer, packet.name));
  if (has_message(packet.type)) {
    TRY_ASSIGN(const Bytes message, encode_message(packet.message));
    writer.bytes(message);
  }
  if (writer.size() > kMaxPacketOctets) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("VICI packet {} '{}' has {} octets, and at most {} can be sent",
                                  name(packet.type), packet.name, writer.size(), kMaxPacketOctets));
  }
  return writer.take();
}

Result<Bytes> encode_frame(const Packet& packet) {
  TRY_ASSIGN(const Bytes bytes, encode_packet(packet));
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(bytes.size()));
  writer.bytes(bytes);
  return writer.take();
}

}  // namespace espalier::wire::vici
