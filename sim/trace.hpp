// A run step by step for people: what is sent, read with the sender's keys, what arrives, which
// timer fires, what a dataplane is told, what an engine says.
#pragma once

#include <functional>
#include <string>

#include "sim/world.hpp"

namespace espalier::sim {

class Trace : public Observer {
 public:
  // Nothing is written when `line` is empty. only: two hosts, and nothing but what passes between
  // them and concerns their pair; or none, and everything.
  Trace(const World& world, std::function<void(const std::string&)> line,
        std::vector<std::string> only = {})
      : world_(world), line_(std::move(line)), only_(std::move(only)) {}

  void on_send(const Host& from, const Host* to, const ike::Transmit& transmit, Fate fate) override;
  void on_deliver(const Host& to, const Packet& packet) override;
  void on_timer(const Host& host, std::string_view reason) override;
  void on_effect(const Host& host, const ike::Effect& effect) override;
  void on_event(const Host& host, const ike::Event& event) override;
  void on_fault(const std::string& what) override;

 private:
  void write(const std::string& who, const std::string& what);
  bool is_left_out(const std::string& host, const std::string* peer) const;
  bool is_left_out_pair(const Host& host, const std::string& pair) const;

  const World& world_;
  std::function<void(const std::string&)> line_;
  std::vector<std::string> only_;
  // A timer is of a host, not of a pair: with `only_` its line waits for what comes of it.
  std::string timer_;
  std::pair<std::string, Instant> timer_of_;
};

// "IKE_AUTH request 1 [ IDi AUTH SA TSi TSr ] of SPIs ..": decrypted with the keys of `holder`,
// who sent or receives it. No key and no secret is in it.
std::string readable(const Host& holder, bool sent, ByteView datagram);

}  // namespace espalier::sim
