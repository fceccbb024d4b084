// Where the file says what a connection has: for messages that name the line to change.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/shared_list.hpp"

namespace espalier::policy {

enum class Setting : std::uint8_t {
  kPeer,  // the peer's entry: its id, addresses, subnets
  kOwn,   // this host's entry
  kIkeProposals,
  kEspProposals,
  kMode,
  kAuth,
  kPpk,
  kCount,
};

// Places are no part of a value: a line more at the top of a file changes no connection.
struct Lines {
  SharedList<std::string> file;                                               // one
  std::array<std::uint32_t, static_cast<std::size_t>(Setting::kCount)> at{};  // 0: a default

  std::uint32_t& operator[](Setting setting) { return at[static_cast<std::size_t>(setting)]; }
  std::uint32_t operator[](Setting setting) const { return at[static_cast<std::size_t>(setting)]; }
  bool is_same(const Lines& other) const { return file == other.file && at == other.at; }
  friend bool operator==(const Lines&, const Lines&) { return true; }
};

// " ('mode' here: mesh.yaml:7)", or where to write it when it is a default; nothing without a file.
std::string where(const Lines& lines, Setting setting);

}  // namespace espalier::policy
