// What the explorer copies at each step: two engines, their dataplanes as they were told, and the
// messages between them. A value.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/core/endpoint.hpp"
#include "sim/explorer.hpp"

namespace espalier::sim {

// Timers this near to each other may fire in either order: what jitter would do.
inline constexpr Duration kTimerSlack = 120ms;
// A step takes this long: enough to tell what came first, too little for any timer.
inline constexpr Duration kStepTime = 1us;

// Chance without chance: numbers that rise in order of use, so that equal histories draw equal
// values. Eight octets at a time are multiples of a common multiple of the engine's jitter ranges:
// no jitter, and unique SPIs.
class OrderedRng final : public crypto::Rng {
 public:
  OrderedRng() = default;
  OrderedRng(std::uint8_t end, bool nonces_fall)
      : end_(end), fall_(nonces_fall), next_(end * 1000000u + 1) {}
  void fill(MutableByteView out) override;

 private:
  std::uint8_t end_ = 0;
  bool fall_ = false;
  std::uint64_t next_ = 1;
};

struct Letter {
  std::size_t to = 0;
  ike::Path path;
  std::shared_ptr<const Bytes> datagram;
  std::shared_ptr<const wire::ike::Message> plain;  // decrypted when it was sent
  bool stray = false;  // may come at any time, or never; nobody waits for it
};

struct OutboundSa {
  ReqId reqid;
  Spi spi;
  IpAddress peer;
  SecretBytes key;
};

struct ExplorerEnd {
  ike::Endpoint engine;
  OrderedRng rng;
  std::optional<crypto::SeededRng> chance;  // after the exploration: real jitter
  std::map<Spi, SecretBytes> inbound;       // by our SPI: its key
  std::vector<OutboundSa> outbound;         // in order of installation: the newest carries traffic
  std::map<ReqId, ike::SetPolicy> policies;
  std::size_t acts_done = 0;
  bool crashed = false;
};

// One thing that may happen next.
struct Step {
  enum class Kind : std::uint8_t { kAct, kDeliver, kTimer, kStray, kDouble, kCrash };
  Kind kind = Kind::kAct;
  std::size_t index = 0;  // the end, or the letter
  std::string token() const;
};

class PairState {
 public:
  explicit PairState(const Scenario& scenario, const Budget& budget);

  std::vector<Step> steps() const;
  void take(const Step& step);
  std::string describe(const Step& step) const;

  // Nothing on its way (but strays), nothing begun, no act left.
  bool quiet() const;
  // From here on time passes by itself, without faults; how long until the pair was whole, or
  // nothing.
  std::optional<Duration> run_until_whole(Duration limit);
  // What is wrong between the two now, as a sentence; empty: one IKE SA and one child, the same at
  // both ends. For quiet states.
  std::string unwhole() const;
  // What may not be, in any state whatever; empty: nothing.
  std::string violation() const;

  const std::array<ExplorerEnd, 2>& ends() const { return ends_; }
  const std::vector<Letter>& letters() const { return letters_; }
  const Scenario& scenario() const { return *scenario_; }
  bool was_up() const { return was_up_; }
  unsigned faults_left() const { return faults_left_; }
  Instant now() const { return now_; }
  // Events since the last call, for a replay.
  std::vector<std::string> take_log() { return std::exchange(log_, {}); }
  void keep_log() { logging_ = true; }

 private:
  void act(std::size_t who);
  void crash(std::size_t who);
  void deliver(std::size_t index);
  void fire(std::size_t who);
  void drain(std::size_t who);
  void apply(std::size_t who, const ike::Effect& effect);
  void install(ExplorerEnd& end, const ike::InstallSa& install);
  void remove(ExplorerEnd& end, const ike::DeleteSa& removal);
  void send(std::size_t who, ike::Transmit transmit);
  crypto::Rng& rng(std::size_t who);
  bool busy(const ExplorerEnd& end) const;
  void forget_dead_strays();
  std::string hole(std::size_t who) const;
  bool works(std::size_t who) const;

  const Scenario* scenario_;
  unsigned faults_left_;
  bool crashes_;
  Instant now_{};
  std::array<ExplorerEnd, 2> ends_;
  std::vector<Letter> letters_;
  std::uint64_t dh_ = 0;
  bool was_up_ = false;  // traffic passed in both directions
  std::string broken_;   // a double install, a delete of what is not there
  std::vector<std::string> log_;
  bool logging_ = false;
};

struct Fingerprint {
  std::uint64_t a = 0, b = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};
// Two states with equal fingerprints go on alike. SPIs, nonces and keys are renamed by their first
// occurrence, message IDs and times are relative.
Fingerprint fingerprint(const PairState& state);

}  // namespace espalier::sim
