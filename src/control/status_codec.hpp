// The answers of our own commands (espalier-status, espalier-reload, espalier-log) as VICI sections
// and back: the server writes them, the espalier command reads them. What a reader does not find is
// the default, so that an older and a newer side understand each other.
#pragma once

#include "control/log_ring.hpp"
#include "control/view.hpp"
#include "wire/vici/message.hpp"

namespace espalier::control {

inline constexpr std::string_view kPairEvent = "espalier-pair";  // streamed by espalier-status
inline constexpr std::string_view kLogEvent = "espalier-log";

wire::vici::Section encode_pair(const PairStatus& pair);
Result<PairStatus> decode_pair(const wire::vici::Section& section);

// The snapshot without its pairs, which travel one an event: a fleet does not fit one packet.
wire::vici::Section encode_summary(const StatusSnapshot& snapshot);
StatusSnapshot decode_summary(const wire::vici::Section& section);

wire::vici::Section encode_reload(const ReloadReport& report);
ReloadReport decode_reload(const wire::vici::Section& section);

wire::vici::Section encode_log(const LogRecord& record);
LogRecord decode_log(const wire::vici::Section& section);

// success=yes; or success=no with errmsg and the error's code.
wire::vici::Section encode_outcome(const Status& outcome);
Status decode_outcome(const wire::vici::Section& section);

}  // namespace espalier::control
