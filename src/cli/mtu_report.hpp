// What `espalier mtu` found, as text and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/path_search.hpp"
#include "esp/shape.hpp"

namespace espalier::cli {

// One kind of packets: those of a suite, or of a child of a pair.
struct MtuRow {
  std::string child;  // empty: of a suite, not of a pair
  std::string suite;
  esp::Encapsulation encapsulation;
  std::size_t packet = 0;
  esp::PacketSum sum;
  std::size_t largest = 0;  // inner packet in path_mtu
};
struct MtuReport {
  std::string pair;  // empty: of a suite
  std::size_t path_mtu = 0;
  bool path_known = false;  // asked or given, not assumed
  std::vector<MtuRow> rows;
  std::optional<PathSearch> outside, through;
  std::vector<std::string> notes;  // whole sentences
};

// packet 0: the largest that fits. Errors: as esp::packet_sum().
Result<MtuRow> mtu_row(const std::string& child, const std::string& suite,
                       const esp::Encapsulation& encapsulation, std::size_t path_mtu,
                       std::size_t packet);

// Name, octets and what it is for, of every term that is on the wire.
struct MtuTerm {
  std::string name;
  std::size_t octets = 0;
  std::string note;
};
std::vector<MtuTerm> mtu_terms(const MtuRow& row);

std::string mtu_text(const MtuReport& report);
std::string mtu_json(const MtuReport& report);

}  // namespace espalier::cli
