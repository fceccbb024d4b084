// The bounds of the control room: what clients can make the daemon hold.
#pragma once

#include <cstddef>

namespace espalier::control {

// The socket is root's; the bound is against a script that forgets to close.
inline constexpr std::size_t kMaxClients = 64;
// Octets that wait for one client before the sources behind them (listings, log lines) pause; they
// go on when the client reads. Above the hard limit, which only a client that asks without ever
// reading answers can reach, it is disconnected.
inline constexpr std::size_t kOutputPause = 64 * 1024;
inline constexpr std::size_t kOutputLimit = 2 * 1024 * 1024;
// Requests that a client may send before the one in progress is answered. VICI allows one.
inline constexpr std::size_t kMaxQueuedRequests = 16;
// Lines that `espalier log` can look back on. About 200 octets each in practice; a line longer
// than kMaxLogText is cut, so that the ring is at most 4 MiB.
inline constexpr std::size_t kLogHistory = 2000;
inline constexpr std::size_t kMaxLogText = 2000;
// Lengths of the VICI encoding: names have one length octet, values two.
inline constexpr std::size_t kMaxViciName = 255;
inline constexpr std::size_t kMaxViciValue = 65535;
// Names listed per kind in a reload's answer: one VICI packet has 512 KiB, a name up to 507 octets.
inline constexpr std::size_t kMaxReloadNames = 300;
// Warnings about certificates in the answer to status; each has at most some 2 KiB.
inline constexpr std::size_t kMaxCertificates = 64;
// A command that asks for a longer wait gets this one: a day.
inline constexpr long long kMaxTimeoutMs = 86'400'000;

}  // namespace espalier::control
