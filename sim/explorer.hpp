// The explorer: two real engines, and every interleaving of what a network and two hosts may do to
// them within a budget of faults. Depth first, with a table of the states that were seen; a state's
// fingerprint has no random octet in it (explorer_fingerprint.cpp).
//
// What one step may be:
//   - a message on its way is delivered; any of them, in any order;
//   - an end does the next thing that its scenario wants of it, at any moment;
//   - the next timer fires, when no message is on its way: the network is fast beside the timers.
//   Two
//     timers that lie within kTimerSlack of each other fire in either order;
//   - for one fault: a message strays (it is lost, or arrives at any later moment, after any number
//     of timers), a message is doubled (the copy strays), an end crashes and starts anew with
//     nothing.
// A path ends in a quiet state: nothing on its way, nothing begun, nothing waiting for a timer but
// lifetimes and liveness. From there the engines run on over a network without faults, with real
// jitter, and must be whole within the scenario's bound.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace espalier::sim {

enum class Act : std::uint8_t {
  kStart,       // the pair is configured
  kRekeyChild,  // as by the operator, or its lifetime
  kRekeyIke,
  kDeleteChild,  // the dataplane says that the child's SA reached its hard limit
  kCloseIke,     // 'down'
  kOpenIke,      // 'up'
};
std::string_view name(Act act);

struct Scenario {
  std::string name;
  bool established = true;               // begin with a pair that is up
  std::array<std::vector<Act>, 2> acts;  // in order, of bender and of flexo
  // The four nonces of two rekeys that collide decide which survives (RFC 7296 section 2.8.1): the
  // SA that was begun first, or the other one.
  bool nonces_fall = false;
  // Starts and rekeys, without crashes: at every moment from the first on when traffic could pass
  // in both directions, each end's newest outbound SA has its inbound one at the peer.
  bool keeps_traffic = false;
};

struct Budget {
  unsigned faults = 2;
  bool crashes = true;               // a crash is one of the faults
  std::size_t states_max = 5000000;  // beyond: the report says that it is not exhaustive
  Duration whole_within = 900s;      // from a quiet state to a whole pair; liveness is at 600 s
  unsigned check_merges = 0;  // of every so many states met again, expand one and compare; 0: none
};

struct Report {
  std::size_t states = 0;       // distinct
  std::size_t transitions = 0;  // steps taken
  std::size_t quiet = 0;        // distinct quiet states, each run on to a whole pair
  std::size_t deepest = 0;      // steps of the longest path
  Duration slowest{};           // the longest that a quiet state took to be whole
  std::string slowest_path;     // the steps to that state
  bool exhaustive = true;
  std::string violation;  // empty: none. A sentence
  std::string path;       // the steps to it, for replay()
  std::string story;      // the same for people, a line a step
};

// Deterministic: the same scenario and budget give the same report. `trail`, if any, holds the
// steps of the path being explored, for a program that dies on the way.
Report explore(const Scenario& scenario, const Budget& budget, std::string* trail = nullptr);

// The steps of a report's path once more, with everything both engines said: a line a step. Error:
// kInvalidArgument for a step that is not possible there.
Result<std::string> replay(const Scenario& scenario, const Budget& budget, const std::string& path);

// Every act alone, both ends starting, and every pairwise collision of rekeys and deletes of the
// child and of the IKE SA, with both orders of the nonces where they matter.
std::vector<Scenario> all_scenarios();

}  // namespace espalier::sim
