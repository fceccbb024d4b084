#include "control/view.hpp"

namespace espalier::control {
namespace {

template <class T>
std::optional<T> named(std::vector<T> list, const std::string& name) {
  for (T& one : list) {
    if (one.name == name) return std::move(one);
  }
  return std::nullopt;
}

}  // namespace

std::optional<PairStatus> View::pair_status(const std::string& name) {
  return named(status().pairs, name);
}

std::optional<ConnectionConfig> View::connection_config(const std::string& name) {
  return named(connections(), name);
}

}  // namespace espalier::control
