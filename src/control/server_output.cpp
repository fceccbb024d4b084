// The server's way out: what goes to which client, and when.
#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/server.hpp"
#include "control/status_codec.hpp"

namespace espalier::control {

using wire::vici::PacketType;

// Round robin, so that one listing does not hold up the others.
std::optional<Output> Server::poll_output() {
  auto entry = clients_.upper_bound(turn_);
  for (std::size_t looked = 0; looked < clients_.size(); ++looked, ++entry) {
    if (entry == clients_.end()) entry = clients_.begin();
    Client& client = *entry->second;
    if (!client.writable && !client.closing) continue;
    while (!client.closing && client.out.size() < kOutputPause && produce(client)) {
    }
    if (client.out.empty() && !client.closing) continue;
    turn_ = entry->first;
    Output output{entry->first, std::move(client.out), client.closing};
    client.out = {};
    if (output.close) clients_.erase(entry);
    return output;
  }
  return std::nullopt;
}

// One more event or answer of what the client asked for; false when there is none now.
bool Server::produce(Client& client) {
  if (client.stream) {
    if (auto section = client.stream->next()) {
      append_event(client, client.stream->event, *section);
      return true;
    }
    const Section end = std::move(client.stream->end);
    client.stream.reset();
    respond(client, end);
    next_requests(now_, client);
    return true;
  }
  for (Listener& listener : client.listeners) {
    if (produce_line(client, listener)) return true;
    if (listener.event != Listener::Event::kEspalierLog || !client.log_history) continue;
    client.log_history = false;
    if (!client.log_follow || client.events.count(kLogEvent) == 0) {
      std::erase_if(client.listeners,
                    [](const Listener& l) { return l.event == Listener::Event::kEspalierLog; });
    }
    respond(client, encode_outcome({}));
    next_requests(now_, client);
    return true;
  }
  return false;
}

bool Server::produce_line(Client& client, Listener& listener) {
  const bool ours = listener.event == Listener::Event::kEspalierLog;
  const std::string_view event = ours                                             ? kLogEvent
                                 : listener.event == Listener::Event::kControlLog ? "control-log"
                                                                                  : "log";
  const std::uint64_t end = ours && client.log_history ? listener.until : ring_.next();
  if (listener.next < ring_.first()) {
    const std::uint64_t lost = ring_.first() - listener.next;
    listener.next = ring_.first();
    LogRecord record{0, LogLevel::kWarning, "control", "",
                     fmt::format("{} log lines were lost: this client reads too slowly.", lost)};
    Section section = encode_log(record);
    put_number(section, "lost", lost);
    append_event(client, event, section);
    return true;
  }
  while (listener.next < end) {
    const LogRecord& record = ring_.at(listener.next++);
    if (record.level > listener.finest) continue;
    if (!listener.pair.empty() && record.pair != listener.pair) continue;
    Section section = encode_log(record);
    if (!ours) {
      section = Section();
      put(section, "group", record.room);
      put_signed(section, "level", vici_level(record.level));
      put(section, "thread", "0");
      if (!record.pair.empty()) put(section, "ikesa-name", record.pair);
      put(section, "msg", record.text);
    }
    append_event(client, event, section);
    return true;
  }
  return false;
}

void Server::append_event(Client& client, std::string_view event, const Section& section) {
  if (client.events.count(event) == 0) return;
  const auto frame = wire::vici::encode_frame({PacketType::kEvent, std::string(event), section});
  if (frame) {
    append(client, *frame);
  } else {
    // Larger than VICI allows. The one way to have it seen is a line in the log.
    ring_.add({0, LogLevel::kError, "control", "",
               fmt::format("An event {} was not sent: {}", event, frame.error().message)});
  }
}

void Server::respond(Client& client, const Section& section) {
  const auto frame = wire::vici::encode_frame({PacketType::kCmdResponse, "", section});
  if (frame) {
    append(client, *frame);
    return;
  }
  const Status why = make_error(ErrorCode::kLimit,
                                "The answer does not fit a VICI packet: " + frame.error().message);
  const auto smaller =
      wire::vici::encode_frame({PacketType::kCmdResponse, "", encode_outcome(why)});
  ASSERT(smaller.ok());
  append(client, *smaller);
}

void Server::send(Client& client, PacketType type) {
  const auto frame = wire::vici::encode_frame({type, "", {}});
  ASSERT(frame.ok());
  append(client, *frame);
}

void Server::append(Client& client, ByteView frame) {
  if (client.closing) return;
  if (client.out.size() + frame.size() > kOutputLimit) {
    client.closing = true;  // asks and never reads
    return;
  }
  client.out.insert(client.out.end(), frame.begin(), frame.end());
}

}  // namespace espalier::control
