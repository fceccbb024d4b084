// The SPD for sending: which policy a packet falls under. One hash table over (prefix length,
// prefix) of the remote selectors, asked for each length in use, longest first: the cost grows with
// the number of lengths, not of peers.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <unordered_map>

#include "base/result.hpp"
#include "dataplane/port.hpp"
#include "dataplane/userspace/flow.hpp"

namespace espalier::dataplane::userspace {

class PolicyIndex {
 public:
  // Replaces the policy of the same reqid; a replaced policy counts as added now. Errors:
  // kInvalidArgument (dataplane/check.hpp), kLimit.
  Status set(const PolicySpec& policy);
  void erase(ReqId reqid);

  // The longest remote prefix wins; then a selector with a protocol, then the narrower port range,
  // then the policy added later. Nothing: no policy.
  const PolicySpec* find(const Flow& flow) const;

  std::vector<PolicySpec> list() const;  // ordered by reqid

 private:
  struct Entry {
    const PolicySpec* policy = nullptr;
    policy::TrafficSelector remote;
    std::uint64_t added = 0;
  };
  struct PrefixHash {
    std::size_t operator()(const Prefix& prefix) const;
  };
  struct Stored {
    PolicySpec spec;
    std::vector<Prefix> prefixes;
  };
  using Lengths = std::array<std::uint32_t, 129>;

  static bool goes_before(const Entry& a, const Entry& b);
  const PolicySpec* find_in(const std::vector<Entry>& entries, const Flow& flow) const;

  std::map<ReqId, Stored> policies_;  // stable addresses
  std::unordered_map<Prefix, std::vector<Entry>, PrefixHash> entries_;
  Lengths lengths_v4_{}, lengths_v6_{};  // how many prefixes have each length
  std::uint64_t added_ = 0;
};

}  // namespace espalier::dataplane::userspace
