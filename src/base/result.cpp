#include "base/result.hpp"

namespace espalier {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kTruncated: return "truncated";
    case ErrorCode::kMalformed: return "malformed";
    case ErrorCode::kLimit: return "limit";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kAuthentication: return "authentication";
    case ErrorCode::kReplay: return "replay";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kAlreadyExists: return "already_exists";
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kBadInput: return "bad_input";
    case ErrorCode::kPermission: return "permission";
    case ErrorCode::kBusy: return "busy";
    case ErrorCode::kSystem: return "system";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kNoProposalChosen: return "no_proposal_chosen";
    case ErrorCode::kInvalidSyntax: return "invalid_syntax";
    case ErrorCode::kInvalidKe: return "invalid_ke";
    case ErrorCode::kTsUnacceptable: return "ts_unacceptable";
    case ErrorCode::kPeerRefused: return "peer_refused";
  }
  return "unknown";
}

}  // namespace espalier
