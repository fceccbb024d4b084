// The control server: VICI requests in, answers and events out, over an abstract view of the
// daemon. Sans-IO: the daemon owns the sockets and the clock. Not for several threads.
#pragma once

#include <map>
#include <memory>

#include "base/bytes.hpp"
#include "base/strong.hpp"
#include "control/client.hpp"

namespace espalier::control {

using ClientId = StrongInt<struct ClientIdTag, std::uint64_t>;

struct Output {
  ClientId client;
  Bytes bytes;         // to be written whole, before the next Output of this client
  bool close = false;  // after the bytes; the server has forgotten the client
};

class Server {
 public:
  // view must outlive the server.
  Server(View& view, DaemonInfo info);
  ~Server();

  // A client was accepted. kLimit when there are kMaxClients: close the socket.
  Status connect(ClientId client);
  // Octets from its socket. Bytes that are no VICI, or requests that pile up, end the connection.
  void receive(Instant now, ClientId client, ByteView bytes);
  // The socket closed. Commands that the client waited for go on without it.
  void disconnect(ClientId client);
  // While false (its socket is full), poll_output() gives nothing for this client.
  void set_writable(ClientId client, bool writable);

  // unix_ms: the wall clock, milliseconds since 1970, shown to people only.
  void on_log(const LogLine& line, std::int64_t unix_ms);
  void on_pair_event(const PairEvent& event);
  void handle_timeout(Instant now);

  std::optional<Output> poll_output();
  // When handle_timeout() is due; none while no command waits.
  std::optional<Instant> poll_timeout() const;

 private:
  void handle_packet(Instant now, Client& client, const wire::vici::Packet& packet);
  void handle_request(Instant now, Client& client, const wire::vici::Packet& packet);
  void register_event(Client& client, const std::string& event);
  void unregister_event(Client& client, const std::string& event);
  void next_requests(Instant now, Client& client);
  void begin_wait(Instant now, Client& client, const Wait& wait);
  void begin_log(Client& client, const LogTail& tail);
  void settle(Client& client, const Status& outcome);
  void settle_if_reached(Client& client);
  bool reached(const Pending& pending);
  std::string not_reached(const Pending& pending);
  void raise_updown(const PairEvent& event);
  void send(Client& client, wire::vici::PacketType type);
  void append(Client& client, ByteView frame);
  void append_event(Client& client, std::string_view event, const wire::vici::Section& section);
  void respond(Client& client, const wire::vici::Section& section);
  bool produce(Client& client);
  bool produce_line(Client& client, Listener& listener);

  View& view_;
  DaemonInfo info_;
  UniqueIds ids_;
  LogRing ring_;
  Instant now_{};
  std::map<ClientId, std::unique_ptr<Client>> clients_;
  ClientId turn_;  // the client whose output was polled last
};

}  // namespace espalier::control
