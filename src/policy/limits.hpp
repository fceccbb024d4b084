// Limits of the policy room.
#pragma once

#include <cstddef>

namespace espalier::policy {

// An offer described for people is cut after this many characters: a peer may fill an SA payload
// with hundreds of transforms, and a log line shall stay a line.
inline constexpr std::size_t kMaxOfferText = 1000;

// Words in one proposal. strongSwan's longest default proposal has about 40.
inline constexpr std::size_t kMaxProposalWords = 64;

// An identity as text. A DNS name has at most 253 characters (RFC 1035 section 2.3.4), an email
// address 254.
inline constexpr std::size_t kMaxIdentityText = 254;

// A distinguished name as text: a dozen attributes of the 64 characters that X.520 allows each.
inline constexpr std::size_t kMaxNameText = 1024;

// Attributes read from one distinguished name; certificates in use have fewer than ten.
inline constexpr std::size_t kMaxNameAttributes = 32;

// Selectors in one narrowed list: their number is one octet on the wire (RFC 7296 section 3.13).
inline constexpr std::size_t kMaxNarrowedSelectors = 255;

}  // namespace espalier::policy
