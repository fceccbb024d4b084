#include "control/server.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/sa_section.hpp"
#include "control/status_codec.hpp"

namespace espalier::control {

using wire::vici::Packet;
using wire::vici::PacketType;

namespace {

std::string_view goal_text(WaitFor goal) {
  switch (goal) {
    case WaitFor::kUp: return "up";
    case WaitFor::kDown: return "down";
    case WaitFor::kIkeRekeyed: return "done rekeying its IKE SA";
    case WaitFor::kChildRekeyed: return "done rekeying its children";
  }
  return "done";
}

std::optional<PairStatus> find_pair(const StatusSnapshot& snapshot, const std::string& name) {
  for (const auto& pair : snapshot.pairs) {
    if (pair.name == name) return pair;
  }
  return std::nullopt;
}

}  // namespace

Server::Server(View& view, DaemonInfo info)
    : view_(view), info_(std::move(info)), ring_(kLogHistory) {}

Server::~Server() = default;

Status Server::connect(ClientId client) {
  if (clients_.size() >= kMaxClients) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("The control socket has {} clients, and no more are served; "
                                  "close one.",
                                  kMaxClients));
  }
  clients_[client] = std::make_unique<Client>();
  return {};
}

void Server::disconnect(ClientId client) { clients_.erase(client); }

void Server::set_writable(ClientId client, bool writable) {
  const auto found = clients_.find(client);
  if (found != clients_.end()) found->second->writable = writable;
}

void Server::receive(Instant now, ClientId id, ByteView bytes) {
  now_ = now;
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second->closing) return;
  Client& client = *found->second;
  client.framer.push(bytes);
  while (!client.closing) {
    auto frame = client.framer.next();
    if (!frame) {
      client.closing = true;
      return;
    }
    if (!frame->has_value()) return;
    const auto packet = wire::vici::parse_packet(**frame);
    if (!packet) {
      client.closing = true;
      return;
    }
    handle_packet(now, client, *packet);
  }
}

void Server::handle_packet(Instant now, Client& client, const Packet& packet) {
  switch (packet.type) {
    case PacketType::kCmdRequest:
      if (!client.busy() && client.requests.empty()) {
        handle_request(now, client, packet);
      } else if (client.requests.size() < kMaxQueuedRequests) {
        client.requests.push_back(packet);
      } else {
        client.closing = true;
      }
      return;
    case PacketType::kEventRegister: register_event(client, packet.name); return;
    case PacketType::kEventUnregister: unregister_event(client, packet.name); return;
    default: client.closing = true;  // packets that only a server sends
  }
}

void Server::handle_request(Instant now, Client& client, const Packet& packet) {
  const Command* command = find_command(packet.name);
  if (command == nullptr) {
    send(client, PacketType::kCmdUnknown);
    return;
  }
  CommandContext context{view_, info_, ids_, now};
  Reply reply = command->handler(context, packet.message);
  if (auto* answer = std::get_if<Answer>(&reply)) {
    respond(client, answer->section);
  } else if (auto* stream = std::get_if<Stream>(&reply)) {
    client.stream = std::move(*stream);
  } else if (auto* wait = std::get_if<Wait>(&reply)) {
    begin_wait(now, client, *wait);
  } else {
    begin_log(client, std::get<LogTail>(reply));
  }
}

void Server::next_requests(Instant now, Client& client) {
  while (!client.busy() && !client.requests.empty() && !client.closing) {
    const Packet packet = std::move(client.requests.front());
    client.requests.pop_front();
    handle_request(now, client, packet);
  }
}

void Server::register_event(Client& client, const std::string& event) {
  if (!is_event(event)) {
    send(client, PacketType::kEventUnknown);
    return;
  }
  const bool added = client.events.insert(event).second;
  if (added && event == "log") {
    // Level 1 and below, as swanctl --log expects.
    client.listeners.push_back({Listener::Event::kLog, "", LogLevel::kInfo, ring_.next(), 0});
  }
  send(client, PacketType::kEventConfirm);
}

void Server::unregister_event(Client& client, const std::string& event) {
  if (client.events.erase(event) == 0) {
    send(client, PacketType::kEventUnknown);
    return;
  }
  std::optional<Listener::Event> gone;
  if (event == "log") gone = Listener::Event::kLog;
  if (event == kLogEvent && !client.log_history) gone = Listener::Event::kEspalierLog;
  if (gone) {
    std::erase_if(client.listeners, [&gone](const Listener& l) { return l.event == *gone; });
  }
  send(client, PacketType::kEventConfirm);
}

void Server::begin_wait(Instant now, Client& client, const Wait& wait) {
  Pending pending{wait.goal, wait.pair, std::max<std::size_t>(wait.count, 1), std::nullopt, {}};
  if (wait.timeout) {
    pending.timeout = *wait.timeout;
    pending.deadline = now + *wait.timeout;
  }
  client.pending = pending;
  if (wait.finest && !wait.detached) {
    client.listeners.push_back(
        {Listener::Event::kControlLog, wait.pair, *wait.finest, ring_.next(), 0});
  }
  const Status started = wait.start();
  if (!client.pending) return;  // an event settled it while it was started
  if (!started || wait.detached) {
    settle(client, started);
  } else {
    settle_if_reached(client);
  }
}

void Server::begin_log(Client& client, const LogTail& tail) {
  std::erase_if(client.listeners,
                [](const Listener& l) { return l.event == Listener::Event::kEspalierLog; });
  client.log_history = true;
  client.log_follow = tail.follow;
  client.listeners.push_back(
      {Listener::Event::kEspalierLog, tail.pair, tail.finest, ring_.first(), ring_.next()});
}

bool Server::reached(const Pending& pending) {
  if (pending.goal != WaitFor::kUp && pending.goal != WaitFor::kDown) return false;
  const auto pair = view_.pair_status(pending.pair);
  if (!pair) return pending.goal == WaitFor::kDown;
  if (pending.goal == WaitFor::kUp) return pair->state == "up";
  return !pair->ike && (pair->state == "disabled" || pair->state == "down");
}

void Server::settle_if_reached(Client& client) {
  if (client.pending && reached(*client.pending)) settle(client, {});
}

std::string Server::not_reached(const Pending& pending) {
  std::string text = fmt::format("{} is not {} after {} s", pending.pair, goal_text(pending.goal),
                                 seconds(pending.timeout));
  const auto pair = view_.pair_status(pending.pair);
  if (!pair) return text + "; it is no longer configured.";
  text += fmt::format("; its state is {}", pair->state);
  if (pair->reason) return text + ": " + *pair->reason;
  return text + ".";
}

// The lines of the command come before its answer. A client that has not read them by now loses
// the rest and is told how many.
void Server::settle(Client& client, const Status& outcome) {
  for (Listener& listener : client.listeners) {
    if (listener.event != Listener::Event::kControlLog) continue;
    while (client.out.size() < 4 * kOutputPause && produce_line(client, listener)) {
    }
    if (listener.next < ring_.next()) {
      Section lost;
      put(lost, "group", "control");
      put(lost, "level", "0");
      put(lost, "msg",
          fmt::format("{} log lines were left out: this client reads too slowly.",
                      ring_.next() - listener.next));
      append_event(client, "control-log", lost);
    }
  }
  std::erase_if(client.listeners,
                [](const Listener& l) { return l.event == Listener::Event::kControlLog; });
  client.pending.reset();
  respond(client, encode_outcome(outcome));
  next_requests(now_, client);
}

void Server::on_log(const LogLine& line, std::int64_t unix_ms) {
  ring_.add({unix_ms, line.level, std::string(line.room), line.pair, line.text});
}

void Server::on_pair_event(const PairEvent& event) {
  using Kind = PairEvent::Kind;
  raise_updown(event);
  for (auto& [id, client] : clients_) {
    if (!client->pending || client->pending->pair != event.pair) continue;
    Pending& pending = *client->pending;
    const bool rekey =
        pending.goal == WaitFor::kIkeRekeyed || pending.goal == WaitFor::kChildRekeyed;
    const bool done = (event.kind == Kind::kUp && pending.goal == WaitFor::kUp) ||
                      (event.kind == Kind::kDown && pending.goal == WaitFor::kDown) ||
                      (event.kind == Kind::kIkeRekeyed && pending.goal == WaitFor::kIkeRekeyed) ||
                      (event.kind == Kind::kChildRekeyed && pending.goal == WaitFor::kChildRekeyed);
    const bool failed = (event.kind == Kind::kAttemptFailed && pending.goal == WaitFor::kUp) ||
                        (event.kind == Kind::kRekeyFailed && rekey) ||
                        (event.kind == Kind::kDown && rekey);
    if (done) {
      if (--pending.count == 0) settle(*client, {});
    } else if (failed) {
      settle(*client, make_error(ErrorCode::kPeerRefused, event.text));
    } else if (event.kind == Kind::kDown && pending.goal == WaitFor::kUp) {
      // The old SA may go before the new one is there; a pair that somebody disabled stays down.
      const auto pair = view_.pair_status(event.pair);
      if (!pair || pair->state == "disabled") {
        settle(*client, make_error(ErrorCode::kPeerRefused,
                                   fmt::format("{} was taken down while it was started: {}",
                                               event.pair, event.text)));
      }
    }
  }
}

void Server::raise_updown(const PairEvent& event) {
  if (event.kind != PairEvent::Kind::kUp && event.kind != PairEvent::Kind::kDown) return;
  const bool up = event.kind == PairEvent::Kind::kUp;
  const bool wanted = std::any_of(clients_.begin(), clients_.end(), [](const auto& entry) {
    const auto& events = entry.second->events;
    return events.count("ike-updown") != 0 || events.count("child-updown") != 0;
  });
  if (!wanted) return;
  const StatusSnapshot snapshot = view_.status();
  ids_.update(snapshot);
  const auto pair = find_pair(snapshot, event.pair);
  const auto message = [&](Children children) {
    Section out;
    put_flag(out, "up", up);
    Section body;
    if (up && pair) {
      const Section listed = list_sa(*pair, ids_, snapshot.dataplane == "userspace", children);
      if (const Section* found = get_section(listed, event.pair)) body = *found;
    } else {
      put(body, "reason", event.text);
    }
    put_section(out, event.pair, std::move(body));
    return out;
  };
  for (auto& [id, client] : clients_) {
    append_event(*client, "ike-updown", message(Children::kNone));
    append_event(*client, "child-updown", message(Children::kAll));
  }
}

void Server::handle_timeout(Instant now) {
  now_ = now;
  for (auto& [id, client] : clients_) {
    if (!client->pending || !client->pending->deadline) continue;
    if (*client->pending->deadline > now) continue;
    settle_if_reached(*client);
    if (!client->pending || !client->pending->deadline || *client->pending->deadline > now) {
      continue;
    }
    settle(*client, make_error(ErrorCode::kTimeout, not_reached(*client->pending)));
  }
}

std::optional<Instant> Server::poll_timeout() const {
  std::optional<Instant> earliest;
  for (const auto& [id, client] : clients_) {
    if (!client->pending || !client->pending->deadline) continue;
    if (!earliest || *client->pending->deadline < *earliest) earliest = client->pending->deadline;
  }
  return earliest;
}

}  // namespace espalier::control
