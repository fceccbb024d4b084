// What `espalier check --host` found, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "dataplane/preflight/facts.hpp"

namespace espalier::cli {

struct HostCheck {
  std::string inventory;  // whose needs were looked at; empty: none
  std::string self;
  std::string release;
  dataplane::preflight::Choice choice;
  std::vector<dataplane::preflight::Finding> findings;
  bool healthy() const;  // nothing but notes
};

std::string host_check_text(const HostCheck& check);
std::string host_check_json(const HostCheck& check);

}  // namespace espalier::cli
