// Which messages are legal when: the state machine's doorkeeper, as data. A row that matches says
// what a message must and may carry; no row: the message is dropped and counted.
// docs/generated/ikev2-states.md is printed from it.
#pragma once

#include <string>
#include <vector>

#include "ike/v2/sa.hpp"

namespace espalier::ike::v2 {

enum class Handler : std::uint8_t {
  kInitResponse,
  kAuthRequest,
  kAuthResponse,
  kCreateChildRequest,
  kCreateChildResponse,
  kInformationalRequest,
  kInformationalResponse,
  kIntermediateRequest,
  kIntermediateResponse,
  kFollowupRequest,
  kFollowupResponse,
  kResumeResponse,
};

struct Row {
  std::string_view story;
  wire::ike::ExchangeType exchange;
  bool response;
  std::vector<Role> roles;  // our role in the IKE SA
  std::vector<IkeState> states;
  std::vector<wire::ike::PayloadType> required;
  std::vector<wire::ike::PayloadType>
      allowed;  // beside the required ones; others are ignored, or refused if critical
  Handler handler;
};

const std::vector<Row>& transition_table();

// The row for a decrypted message in the SA's state; nullptr: not legal now.
const Row* find_row(const IkeSa& sa, const wire::ike::Header& header);

// Whether every required payload is there. The first that is missing, or nothing.
std::optional<wire::ike::PayloadType> missing_payload(const Row& row,
                                                      const wire::ike::Message& message);

// The first payload that is critical and unknown to us (RFC 7296 section 2.5), or nothing.
std::optional<wire::ike::PayloadType> unsupported_critical(const wire::ike::Message& message);

// The table as markdown.
std::string describe_table();

}  // namespace espalier::ike::v2
