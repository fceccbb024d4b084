#include "control/unique_ids.hpp"

namespace espalier::control {
namespace {

// Our own SPI is unique on this host (RFC 4301 section 4.1: we chose it).
std::string key(const IkeStatus& sa) { return "i" + sa.spi_local; }
std::string key(const ChildStatus& sa) { return "c" + sa.spi_in; }

}  // namespace

void UniqueIds::update(const StatusSnapshot& snapshot) {
  std::map<std::string, std::uint64_t, std::less<>> kept;
  const auto keep = [this, &kept](std::string name) {
    const auto found = ids_.find(name);
    const std::uint64_t id = found == ids_.end() ? next_++ : found->second;
    kept.emplace(std::move(name), id);
  };
  for (const auto& pair : snapshot.pairs) {
    if (pair.ike) keep(key(*pair.ike));
    for (const auto& child : pair.children) keep(key(child));
  }
  ids_ = std::move(kept);
}

std::uint64_t UniqueIds::ike(const IkeStatus& sa) const {
  const auto found = ids_.find(key(sa));
  return found == ids_.end() ? 0 : found->second;
}

std::uint64_t UniqueIds::child(const ChildStatus& sa) const {
  const auto found = ids_.find(key(sa));
  return found == ids_.end() ? 0 : found->second;
}

}  // namespace espalier::control
