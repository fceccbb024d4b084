// Small numbers for SAs, as VICI wants them (uniqueid, ike-id, child-id): given at first sight,
// kept while the SA lives, never given twice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "control/view.hpp"

namespace espalier::control {

class UniqueIds {
 public:
  // Forgets the SAs that are gone and numbers the new ones.
  void update(const StatusSnapshot& snapshot);
  // 0 for an SA that the last update() did not have.
  std::uint64_t ike(const IkeStatus& sa) const;
  std::uint64_t child(const ChildStatus& sa) const;

 private:
  std::uint64_t next_ = 1;
  std::map<std::string, std::uint64_t, std::less<>> ids_;  // "i" or "c" and our own SPI
};

}  // namespace espalier::control
