// VICI, the control protocol of strongSwan's swanctl: messages as values, packets, and the framing
// of a stream.
//
//   stream   a packet behind its length in four octets, again and again
//   packet   a type; for a request or an event its name; for a request, a response or an event a
//   message message  entries in order: a value, a list of values, or a section of entries
//
// Values are octets, mostly text. Names are printable ASCII. The order of entries is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"

namespace espalier::wire::vici {

struct Entry;

// A message, or a section within one.
class Section {
 public:
  // Builders. A name that is there already is replaced (set, list) or entered again (section); each
  // returns what a chain of calls goes on with: the section itself, or the inner one.
  Section& set(std::string_view name, std::string value);
  Section& list(std::string_view name, std::vector<std::string> items);
  // The inner section of that name, made if there is none. Valid until this section is changed.
  Section& section(std::string_view name);
  // Appends as it is, even beside one of the same name (the parser's way in).
  void append(Entry entry);

  // Look-ups by path: "a.b" is b in the section a. A name may hold dots itself ("10.0.0.1"): a name
  // that is the whole rest of the path comes first, then the sections it could lead through.
  // Absent, or of another kind: nothing. The views live as long as the section is unchanged.
  std::optional<std::string_view> get(std::string_view path) const;
  const std::vector<std::string>* get_list(std::string_view path) const;
  const Section* get_section(std::string_view path) const;

  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

  friend bool operator==(const Section& a, const Section& b);

 private:
  template <class T>
  const T* find(std::string_view path) const;
  Entry* find_name(std::string_view name);

  std::vector<Entry> entries_;
};

struct Entry {
  std::string name;
  std::variant<std::string, std::vector<std::string>, Section> value;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// Errors: kTruncated; kMalformed (an element where it may not stand, a name that is not printable);
// kLimit (limits.hpp). Each names the element and its offset.
Result<Section> parse_message(ByteView bytes);
// Errors: kLimit for a name, value, depth or number of elements that the format or the peer cannot
// take; kInvalidArgument for a name that is not printable ASCII. Each names the entry.
Result<Bytes> encode_message(const Section& message);

enum class PacketType : std::uint8_t {
  kCmdRequest = 0,   // client to daemon: name, message
  kCmdResponse = 1,  // message
  kCmdUnknown = 2,
  kEventRegister = 3,    // client to daemon: name
  kEventUnregister = 4,  // client to daemon: name
  kEventConfirm = 5,
  kEventUnknown = 6,
  kEvent = 7,  // daemon to client: name, message
};
std::string_view name(PacketType type);  // "CMD_REQUEST"
bool has_name(PacketType type);
bool has_message(PacketType type);

struct Packet {
  PacketType type = PacketType::kCmdUnknown;
  std::string name;  // of the command or the event; empty where has_name() says no
  Section message;   // empty where has_message() says no
  friend bool operator==(const Packet&, const Packet&) = default;
};

// One packet, without its length prefix. Errors as parse_message's; kMalformed also for an unknown
// type and for octets that follow a packet that has no message.
Result<Packet> parse_packet(ByteView bytes);
// Errors as encode_message's; kLimit also for a packet larger than kMaxPacketOctets.
Result<Bytes> encode_packet(const Packet& packet);
// The same behind its length prefix: what is written to the stream.
Result<Bytes> encode_frame(const Packet& packet);

// Cuts a stream into packets, however its octets arrive:
//
//   framer.push(octets);
//   while (true) { TRY_ASSIGN(auto packet, framer.next()); if (!packet) break; ...
//   parse_packet(*packet) ... }
//
// Holds at most what was pushed since next() last said that there is no more, and one packet.
class Framer {
 public:
  // Octets in the order of the stream. After an error they are dropped.
  void push(ByteView octets);
  // The next whole packet, without its length; nothing if it is not here yet. Errors: kLimit for a
  // length above kMaxPacketOctets, kMalformed for one of zero. The stream cannot be trusted after
  // an error: it is repeated from then on, and the connection should be closed.
  Result<std::optional<Bytes>> next();
  // Octets held back for a packet that is not whole: not zero at the end of a stream means it was
  // cut.
  std::size_t pending() const { return buffer_.size() - start_; }

 private:
  Bytes buffer_;
  std::size_t start_ = 0;  // of the first octet not yet handed out
  std::optional<Error> error_;
};

}  // namespace espalier::wire::vici
