// Limits of the protocol core: value, unit, and the RFC section or reason. Overflow is a counted
// event.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"

namespace espalier::ike {

// Retransmission (RFC 7296 section 2.4: "Retries MUST ... increase exponentially"). A request is
// sent at 0, then after kRetransmitFirst, doubling up to kRetransmitMax, kRetransmitTries times in
// all; then the SA is given up.
inline constexpr Duration kRetransmitFirst = 500ms;
inline constexpr Duration kRetransmitMax = 8s;
inline constexpr unsigned kRetransmitTries =
    8;  // 0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5 s; given up at 39.5 s

// A liveness check with a reason to doubt the peer (a hint, or ESP sent and none come back) goes as
// often over the wire, but in 13.5 s: 0, 0.5, 1.5, 3.5, 5.5, 7.5, 9.5, 11.5 s. A quiet pair has
// time.
inline constexpr Duration kQuickRetransmitMax = 2s;

// Liveness checks of all IKE SAs together are this far apart: 200 a second.
inline constexpr Duration kProbeInterval = 5ms;

// Stale state (RFC 7296 section 2.21.4: "SHOULD limit the frequency of such tests"; RFC 6290). Per
// SA or pair one hint in this time is followed; unprotected answers are limited per address.
inline constexpr Duration kHintInterval = 10s;
inline constexpr std::uint8_t kStatelessAnswersPerSecond = 5;
inline constexpr std::size_t kPairsAtAddressMax = 8;  // that stray ESP from an address concerns
inline constexpr std::size_t kQcdTokenMin = 16, kQcdTokenMax = 128;  // octets, RFC 6290 section 5
inline constexpr unsigned kQcdTokensMax = 4;  // looked at in one message, RFC 6290 section 4.5

// Attempts to bring a pair up go on for ever, with this backoff and a jitter of a quarter.
inline constexpr Duration kRetryFirst = 1s;
inline constexpr Duration kRetryMax = 60s;

// A pair with start: trap is tried for so long after traffic asked for it. Linux asks again after
// net.core.xfrm_acq_expires, 165 s, as long as there is traffic.
inline constexpr Duration kDemandLifetime = 3min;

// When a pair's configuration changes, what stands stays so long for the other end to learn of the
// change too.
inline constexpr Duration kChangeGrace = 10min;

// A part of a child's selectors that the peer refuses is asked for again ever more rarely, up to
// this; and the responder of an IKE SA waits this long for the initiator to make the parts.
inline constexpr Duration kPartRetryMax = 10min;
inline constexpr Duration kPartGrace = 5s;
inline constexpr std::size_t kPartsPerPairMax = 64;  // as many as children fit into an IKE SA

// Election: in a mesh the host with the lower identity initiates at once, the other after this
// grace.
inline constexpr Duration kElectionGrace = 2s;
inline constexpr Duration kStartJitter = 100ms;

// A half-open SA (IKE_SA_INIT answered, IKE_AUTH not seen) lives this long.
inline constexpr Duration kHalfOpenLifetime = 30s;
inline constexpr std::size_t kHalfOpenMax = 2048;
// At the limit an older one than this makes room for a peer that returned a cookie: it had the time
// of two retransmissions to go on. Nobody else gets in, counted.
inline constexpr Duration kHalfOpenFairTime = 4s;
// Half-open SAs of peers that returned no cookie above which cookies are demanded (RFC 7296 section
// 2.6): of all together, and of one /24 or /64 alone, so that a flood does not slow the others.
inline constexpr std::size_t kCookieThreshold = 64;
inline constexpr std::size_t kCookiePrefixThreshold = 16;
inline constexpr Duration kCookieSecretLifetime =
    60s;  // the secret changes; the one before is still accepted

// The responder of a superseded SA waits this long for its initiator to delete it, then does it
// itself.
inline constexpr Duration kDuplicateGrace = 10s;

// An inbound child SA is kept this long after its deletion was agreed, for packets still on their
// way.
inline constexpr Duration kInboundLinger = 3s;

// The responder of a child rekey sends on the new SA when the old one is deleted, or another
// request or a packet on the new SA shows that the initiator has the answer; at the latest after
// this, when a request is given up.
inline constexpr Duration kOutboundGrace = 45s;
// A foreign peer may let the old SA go without a Delete as soon as it has our answer, and say
// nothing: what we send on the old one is lost until we change over.
inline constexpr Duration kForeignOutboundGrace = 5s;

// Two ends that make the same child at once: a request that comes this long after ours was answered
// may be the other half of it (a request is given up after this time).
inline constexpr Duration kCrossingTime = 40s;

// An SA is used beyond its lifetime for a tenth of it, and at least so long: a rekey begun at its
// end may take all its retransmissions, once as the request of one end and once of the other.
inline constexpr Duration kOverTime = 90s;

// Of a sentence about a difference that is kept, or sent to a peer of our own.
inline constexpr std::size_t kDiagnosisOctetsMax = 800;

// Without ESN: with the tenth on top it stays below 2^32.
inline constexpr std::uint64_t kPacketsWithoutEsn = 3'900'000'000;

// An AUTH_LIFETIME of a peer below this counts as this (RFC 4478 sections 3 and 5).
inline constexpr Duration kReauthMin = 5min;
// Of the jitter, for when authentication is repeated: three times this is taken off at most.
inline constexpr unsigned kReauthJitterMax = 15;  // per cent

// A rekey answered with TEMPORARY_FAILURE is tried again after this (RFC 7296 section 2.25), plus
// jitter.
inline constexpr Duration kTemporaryFailureRetry = 2s;
// "after several minutes" of it the SA is closed (the same section).
inline constexpr Duration kTemporaryFailureMax = 3min;
// A rekey that came to nothing for another reason is tried again after this, until the SA expires.
inline constexpr Duration kRekeyRetry = 30s;

// A peer's CREATE_CHILD_SA whose next IKE_FOLLOWUP_KE does not come is forgotten after this (RFC
// 9370 section 2.2.4: 5 to 20 s are appropriate).
inline constexpr Duration kFollowupWait = 20s;
inline constexpr std::size_t kLinkOctets = 16;  // ADDITIONAL_KEY_EXCHANGE; cannot be guessed

// Session tickets (RFC 5723). The key that seals them changes, and the one before still opens them:
// so a ticket can be opened for at least its lifetime, and its key is gone after twice that. The
// handles of used ones are kept until they expire; with so many, tickets are refused.
inline constexpr Duration kTicketLifetimeMax = 24h;
inline constexpr Duration kTicketKeyLifetime = 24h;
inline constexpr std::size_t kTicketOctetsMax = 4096;  // of a peer's ticket, which we keep
inline constexpr std::size_t kUsedTicketsMax = 65536;

// RFC 5685 section 7: MAX_REDIRECTS and REDIRECT_LOOP_DETECT_PERIOD.
inline constexpr unsigned kRedirectsMax = 5;
inline constexpr Duration kRedirectPeriod = 300s;

inline constexpr std::size_t kDatagramMax = 65535;
inline constexpr std::size_t kFragmentsMax =
    64;  // RFC 7383 gives none; 64 x 1200 octets hold any chain we accept
inline constexpr std::size_t kReassembledOctetsMax = 64 * 1024;
inline constexpr std::size_t kFragmentIpOctets =
    1280;  // outer IP packet; the IPv6 minimum (RFC 7383 section 2.5.1)
inline constexpr std::size_t kQueuedTasksMax = 64;       // per IKE SA
inline constexpr std::size_t kChildrenPerIkeSaMax = 64;  // NO_ADDITIONAL_SAS beyond
inline constexpr std::size_t kIkeSasPerPairMax = 8;  // whatever a peer does, a pair holds no more
inline constexpr std::size_t kNonceOctets = 32;  // RFC 7296 section 2.10: at least half the PRF key
inline constexpr std::size_t kInitRestartsMax =
    4;  // COOKIE and INVALID_KE_PAYLOAD answers followed in one attempt

// MOBIKE (RFC 4555): addresses of a peer beside the one in use, and of ours that are told; a
// request that came to nothing so often tries other addresses (section 3.10); an
// UPDATE_SA_ADDRESSES that was refused is tried again after this, so often, before the IKE SA is
// made anew (section 3.9).
inline constexpr std::size_t kMobikeAddressesMax = 8;
inline constexpr unsigned kMobikePathTries = 3;
inline constexpr unsigned kMobikeTries = 12;  // in place of kRetransmitTries, with several paths
inline constexpr unsigned kMobikeRefusalsMax = 8;
inline constexpr Duration kMobikeRetry = 2s;
inline constexpr std::size_t kCookie2Octets = 16;  // section 4.2.5: 8 to 64

// IKE_AUTH waits this long for the status of the peer's certificates. Both ends may wait in turn
// while the initiator repeats its request (39.5 s), and a half-open SA lives 30 s.
inline constexpr Duration kRevocationWait = 8s;
// OCSP responses of a peer that are looked at: one for each certificate of a path of RFC 4806.
inline constexpr std::size_t kResponsesOfPeerMax = 4;

// CAs read from a peer's CERTREQs, to choose our certificate by; a payload could name 3276.
inline constexpr std::size_t kAuthoritiesMax = 256;

inline constexpr std::size_t kDropEventsPerSecond = 10;  // beyond: counted, not logged

inline constexpr Duration kNatKeepalive = 20s;            // RFC 3948 section 4
inline constexpr std::uint32_t kReqIdFirst = 0xE5000001;  // DESIGN "Ours in the kernel"
// From 0xE5E00000 on: manual keys, and what stands whatever SAs there are.
inline constexpr std::uint32_t kReqIdLast = 0xE5DFFFFF;

}  // namespace espalier::ike
