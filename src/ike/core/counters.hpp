// The counters of the core, defined once: enum, name, help.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace espalier::ike {

// X(enumerator, name, help)
#define ESPALIER_IKE_COUNTERS(X)                                                                   \
  X(kMessagesIn, "ike_messages_in", "IKE datagrams received")                                      \
  X(kMessagesOut, "ike_messages_out", "IKE datagrams sent")                                        \
  X(kRetransmits, "ike_retransmits", "requests sent again")                                        \
  X(kResponsesRepeated, "ike_responses_repeated", "responses sent again for a repeated request")   \
  X(kInitiated, "ike_initiated", "IKE SAs begun by us")                                            \
  X(kEstablished, "ike_established", "IKE SAs established, without rekeys")                        \
  X(kAttemptsFailed, "ike_attempts_failed", "attempts to bring a pair up that failed")             \
  X(kIkeRekeyed, "ike_rekeyed", "IKE SAs rekeyed")                                                 \
  X(kReauthentications, "ike_reauthentications", "authentications that we began to repeat")        \
  X(kChildInstalled, "child_installed", "child SA pairs installed, rekeys included")               \
  X(kChildRekeyed, "child_rekeyed", "child SA pairs rekeyed")                                      \
  X(kFollowedTraffic, "child_followed_traffic",                                                    \
    "child SA pairs that we send on because the peer does")                                        \
  X(kDuplicates, "ike_duplicates_resolved", "IKE SAs removed by the rule for simultaneous starts") \
  X(kSasLost, "child_sas_lost", "SAs that the dataplane had lost; their children were rekeyed")    \
  X(kAcquires, "ike_acquires", "pairs with start: trap that traffic asked for")                    \
  X(kLivenessChecks, "ike_liveness_checks", "liveness checks sent")                                \
  X(kHintChecks, "ike_hint_checks", "checks begun for a hint that the peer lost its state")        \
  X(kHintsIgnored, "ike_hints_ignored", "hints that fit no SA, or came too often")                 \
  X(kInvalidIkeSpiSent, "ike_invalid_ike_spi_sent",                                                \
    "requests for an unknown IKE SA answered with INVALID_IKE_SPI and a token")                    \
  X(kInvalidSpiSent, "ike_invalid_spi_sent", "peers told of ESP with an unknown SPI")              \
  X(kUnknownEsp, "ike_unknown_esp", "reports of ESP with an unknown SPI")                          \
  X(kQcdAccepted, "ike_crash_tokens_accepted", "IKE SAs dropped because the peer proved a crash")  \
  X(kQcdRefused, "ike_crash_tokens_refused", "messages with a crash token that does not match")    \
  X(kTicketsGranted, "ike_tickets_granted", "session tickets given to peers (RFC 5723)")           \
  X(kTicketsRefused, "ike_tickets_refused",                                                        \
    "IKE_SESSION_RESUME requests answered with TICKET_NACK")                                       \
  X(kResumed, "ike_resumed", "IKE SAs established by a session ticket")                            \
  X(kRedirected, "ike_redirected", "peers redirected (RFC 5685)")                                  \
  X(kRedirectsFollowed, "ike_redirects_followed", "redirects of peers followed")                   \
  X(kRedirectsRefused, "ike_redirects_refused",                                                    \
    "redirects of peers that were forged, not allowed, or too many")                               \
  X(kCookiesDemanded, "ike_cookies_demanded", "IKE_SA_INIT requests answered with COOKIE")         \
  X(kDropShort, "drop_short", "datagrams too short or with a wrong length field")                  \
  X(kDropVersion, "drop_version", "datagrams of another major version")                            \
  X(kDropUnknownSpi, "drop_unknown_spi", "datagrams for an IKE SA we do not have")                 \
  X(kDropMalformed, "drop_malformed", "datagrams or payloads that do not parse")                   \
  X(kDropIntegrity, "drop_integrity", "messages whose integrity check failed")                     \
  X(kDropMessageId, "drop_message_id", "messages outside the window")                              \
  X(kDropBusy, "drop_busy", "requests that came while one was being worked on")                    \
  X(kDropUnexpected, "drop_unexpected", "messages that are not legal in the SA's state")           \
  X(kDropFragment, "drop_fragment", "fragments that came before, or beyond the limits")            \
  X(kHalfOpenEvicted, "half_open_evicted",                                                         \
    "old half-open IKE SAs that made room for a peer that returned a cookie")                      \
  X(kDropHalfOpen, "drop_half_open",                                                               \
    "IKE_SA_INIT requests refused because too many are half-open")                                 \
  X(kDropCookie, "drop_cookie", "IKE_SA_INIT requests with a wrong cookie")                        \
  X(kMobikeUpdates, "mobike_updates", "changes of addresses that a peer took or told (RFC 4555)")  \
  X(kMobikeRefused, "mobike_refused",                                                              \
    "changes of addresses that were refused, by us or by the peer (RFC 4555)")                     \
  X(kNoProposal, "refused_proposal", "requests refused for their proposals")                       \
  X(kGroupRefused, "refused_group", "requests answered with INVALID_KE_PAYLOAD: another group")    \
  X(kAuthFailed, "refused_auth", "IKE_AUTH exchanges that failed authentication")                  \
  X(kRevocationWaits, "ike_revocation_waits",                                                      \
    "IKE_AUTH exchanges that waited for the status of a certificate")                              \
  X(kRevocationLate, "ike_revocation_late",                                                        \
    "IKE_AUTH exchanges that were decided before the status of a certificate came")                \
  X(kResponsesUnused, "ike_ocsp_responses_unused",                                                 \
    "OCSP responses of peers that are about something else, forged, or old")                       \
  X(kTsRefused, "refused_selectors", "child requests refused for their selectors")

enum class Counter : std::uint8_t {
#define ESPALIER_X(enumerator, name, help) enumerator,
  ESPALIER_IKE_COUNTERS(ESPALIER_X)
#undef ESPALIER_X
      kCount
};

struct CounterInfo {
  std::string_view name;
  std::string_view help;
};
inline constexpr std::array<CounterInfo, static_cast<std::size_t>(Counter::kCount)> kCounterInfo = {
    {
#define ESPALIER_X(enumerator, name, help) {name, help},
        ESPALIER_IKE_COUNTERS(ESPALIER_X)
#undef ESPALIER_X
    }};

class Counters {
 public:
  void add(Counter counter) { ++values_[static_cast<std::size_t>(counter)]; }
  std::uint64_t get(Counter counter) const { return values_[static_cast<std::size_t>(counter)]; }
  friend bool operator==(const Counters&, const Counters&) = default;

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Counter::kCount)> values_{};
};

}  // namespace espalier::ike
