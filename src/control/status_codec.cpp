#include "control/status_codec.hpp"

#include <cstdlib>

#include "control/fields.hpp"
#include "control/limits.hpp"

namespace espalier::control {
namespace {

Section encode_ike(const IkeStatus& ike) {
  Section out;
  put(out, "state", ike.state);
  put(out, "role", ike.role);
  put(out, "local", ike.local);
  put(out, "remote", ike.remote);
  put(out, "local-id", ike.local_id);
  put(out, "remote-id", ike.remote_id);
  put(out, "spi-local", ike.spi_local);
  put(out, "spi-remote", ike.spi_remote);
  put(out, "suite", ike.suite);
  put_signed(out, "established", ike.established_s);
  put_signed(out, "rekey-in", ike.rekey_in_s);
  put_flag(out, "nat", ike.nat);
  put_flag(out, "ppk", ike.ppk);
  put(out, "certificate", ike.certificate);
  put_signed(out, "certificate-until", ike.certificate_until);
  return out;
}

IkeStatus decode_ike(const Section& in) {
  IkeStatus ike;
  ike.state = get(in, "state");
  ike.role = get(in, "role");
  ike.local = get(in, "local");
  ike.remote = get(in, "remote");
  ike.local_id = get(in, "local-id");
  ike.remote_id = get(in, "remote-id");
  ike.spi_local = get(in, "spi-local");
  ike.spi_remote = get(in, "spi-remote");
  ike.suite = get(in, "suite");
  ike.established_s = get_signed(in, "established");
  ike.rekey_in_s = get_signed(in, "rekey-in");
  ike.nat = get_flag(in, "nat");
  ike.ppk = get_flag(in, "ppk");
  ike.certificate = get(in, "certificate");
  ike.certificate_until = get_signed(in, "certificate-until");
  return ike;
}

Section encode_child(const ChildStatus& child) {
  Section out;
  put(out, "name", child.name);
  put(out, "mode", child.mode);
  put(out, "state", child.state);
  put(out, "suite", child.suite);
  put(out, "spi-in", child.spi_in);
  put(out, "spi-out", child.spi_out);
  put_number(out, "reqid", child.reqid);
  put_number(out, "bytes-in", child.bytes_in);
  put_number(out, "bytes-out", child.bytes_out);
  put_number(out, "packets-in", child.packets_in);
  put_number(out, "packets-out", child.packets_out);
  put_signed(out, "installed", child.installed_s);
  put_signed(out, "rekey-in", child.rekey_in_s);
  put_list(out, "local-ts", child.local_ts);
  put_list(out, "remote-ts", child.remote_ts);
  put_flag(out, "encap", child.udp_encap);
  put_flag(out, "manual", child.manual);
  return out;
}

ChildStatus decode_child(const Section& in) {
  ChildStatus child;
  child.name = get(in, "name");
  child.mode = get(in, "mode");
  child.state = get(in, "state");
  child.suite = get(in, "suite");
  child.spi_in = get(in, "spi-in");
  child.spi_out = get(in, "spi-out");
  child.reqid = static_cast<std::uint32_t>(get_number(in, "reqid"));
  child.bytes_in = get_number(in, "bytes-in");
  child.bytes_out = get_number(in, "bytes-out");
  child.packets_in = get_number(in, "packets-in");
  child.packets_out = get_number(in, "packets-out");
  child.installed_s = get_signed(in, "installed");
  child.rekey_in_s = get_signed(in, "rekey-in");
  child.local_ts = get_list(in, "local-ts");
  child.remote_ts = get_list(in, "remote-ts");
  child.udp_encap = get_flag(in, "encap");
  child.manual = get_flag(in, "manual");
  return child;
}

Section encode_certificate(const CertificateStatus& certificate) {
  Section out;
  put(out, "kind", certificate.kind);
  put(out, "where", certificate.where);
  put(out, "subject", certificate.subject);
  put(out, "state", certificate.state);
  put_signed(out, "from", certificate.from);
  put_signed(out, "until", certificate.until);
  put(out, "text", certificate.text);
  return out;
}

CertificateStatus decode_certificate(const Section& in) {
  CertificateStatus certificate;
  certificate.kind = get(in, "kind");
  certificate.where = get(in, "where");
  certificate.subject = get(in, "subject");
  certificate.state = get(in, "state");
  certificate.from = get_signed(in, "from");
  certificate.until = get_signed(in, "until");
  certificate.text = get(in, "text");
  return certificate;
}

std::vector<std::string> first_names(const std::vector<std::string>& names) {
  if (names.size() <= kMaxReloadNames) return names;
  std::vector<std::string> out(names.begin(), names.begin() + kMaxReloadNames);
  out.push_back("and " + std::to_string(names.size() - kMaxReloadNames) + " more");
  return out;
}

}  // namespace

Section encode_pair(const PairStatus& pair) {
  Section out;
  put(out, "name", pair.name);
  put(out, "peer", pair.peer);
  put(out, "state", pair.state);
  if (pair.idle) put_flag(out, "idle", true);
  if (pair.reason) put(out, "reason", *pair.reason);
  put_number(out, "attempts", pair.attempts);
  if (pair.next_retry_s) put_signed(out, "next-retry", *pair.next_retry_s);
  if (pair.ike) put_section(out, "ike", encode_ike(*pair.ike));
  Section children;
  std::size_t number = 0;
  for (const auto& child : pair.children) {
    put_section(children, "child-" + std::to_string(++number), encode_child(child));
  }
  put_section(out, "children", std::move(children));
  return out;
}

Result<PairStatus> decode_pair(const Section& in) {
  PairStatus pair;
  pair.name = get(in, "name");
  if (pair.name.empty()) {
    return make_error(ErrorCode::kMalformed, "The daemon listed a pair that has no name.");
  }
  pair.peer = get(in, "peer");
  pair.state = get(in, "state");
  pair.idle = get_flag(in, "idle");
  pair.reason = find(in, "reason");
  pair.attempts = get_number(in, "attempts");
  pair.next_retry_s = find_signed(in, "next-retry");
  if (const Section* ike = get_section(in, "ike")) pair.ike = decode_ike(*ike);
  if (const Section* children = get_section(in, "children")) {
    for (std::size_t number = 1;; ++number) {
      const Section* child = get_section(*children, "child-" + std::to_string(number));
      if (child == nullptr) break;
      pair.children.push_back(decode_child(*child));
    }
  }
  return pair;
}

Section encode_summary(const StatusSnapshot& snapshot) {
  Section out;
  put(out, "mesh", snapshot.mesh);
  put(out, "self", snapshot.self);
  put(out, "version", snapshot.version);
  put(out, "dataplane", snapshot.dataplane);
  put(out, "dataplane-why", snapshot.dataplane_why);
  put_number(out, "generation", snapshot.generation);
  std::vector<std::string> repairs;  // "sas-lost 3"
  for (const auto& [name, count] : snapshot.repairs) {
    repairs.push_back(name + " " + std::to_string(count));
  }
  put_list(out, "repairs", repairs);
  put_list(out, "notes", snapshot.notes);
  Section certificates;
  std::size_t number = 0;
  for (const auto& certificate : snapshot.certificates) {
    if (number == kMaxCertificates) break;  // the others are in the log
    put_section(certificates, "certificate-" + std::to_string(++number),
                encode_certificate(certificate));
  }
  put_section(out, "certificates", std::move(certificates));
  return out;
}

StatusSnapshot decode_summary(const Section& in) {
  StatusSnapshot snapshot;
  snapshot.mesh = get(in, "mesh");
  snapshot.self = get(in, "self");
  snapshot.version = get(in, "version");
  snapshot.dataplane = get(in, "dataplane");
  snapshot.dataplane_why = get(in, "dataplane-why");
  snapshot.generation = get_number(in, "generation");
  for (const std::string& line : get_list(in, "repairs")) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    snapshot.repairs.emplace_back(line.substr(0, space),
                                  std::strtoull(line.c_str() + space, nullptr, 10));
  }
  snapshot.notes = get_list(in, "notes");
  if (const Section* certificates = get_section(in, "certificates")) {
    for (std::size_t number = 1;; ++number) {
      const Section* one = get_section(*certificates, "certificate-" + std::to_string(number));
      if (one == nullptr) break;
      snapshot.certificates.push_back(decode_certificate(*one));
    }
  }
  return snapshot;
}

Section encode_reload(const ReloadReport& report) {
  Section out = encode_outcome({});
  put_list(out, "added", first_names(report.added));
  put_list(out, "removed", first_names(report.removed));
  put_list(out, "changed", first_names(report.changed));
  put_number(out, "unchanged", report.unchanged);
  put_number(out, "generation", report.generation);
  return out;
}

ReloadReport decode_reload(const Section& in) {
  ReloadReport report;
  report.added = get_list(in, "added");
  report.removed = get_list(in, "removed");
  report.changed = get_list(in, "changed");
  report.unchanged = get_number(in, "unchanged");
  report.generation = get_number(in, "generation");
  return report;
}

Section encode_log(const LogRecord& record) {
  Section out;
  put_signed(out, "unix-ms", record.unix_ms);
  put(out, "level", name(record.level));
  put(out, "group", record.room);
  if (!record.pair.empty()) put(out, "ikesa-name", record.pair);
  put(out, "msg", record.text);
  return out;
}

LogRecord decode_log(const Section& in) {
  LogRecord record;
  record.unix_ms = get_signed(in, "unix-ms");
  const std::string level = get(in, "level");
  for (LogLevel candidate : {LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo,
                             LogLevel::kDebug, LogLevel::kTrace}) {
    if (level == name(candidate)) record.level = candidate;
  }
  record.room = get(in, "group");
  record.pair = get(in, "ikesa-name");
  record.text = get(in, "msg");
  return record;
}

Section encode_outcome(const Status& outcome) {
  Section out;
  put_flag(out, "success", outcome.ok());
  if (!outcome) {
    put(out, "errmsg", outcome.error().message);
    put(out, "code", name(outcome.error().code));
  }
  return out;
}

Status decode_outcome(const Section& in) {
  if (get_flag(in, "success")) return {};
  std::string message = get(in, "errmsg");
  if (message.empty()) message = "The daemon refused and did not say why.";
  const std::string code = get(in, "code");
  constexpr auto kLast = static_cast<std::uint16_t>(ErrorCode::kPeerRefused);
  for (std::uint16_t number = 0; number <= kLast; ++number) {
    const auto candidate = static_cast<ErrorCode>(number);
    if (code == name(candidate)) return make_error(candidate, std::move(message));
  }
  return make_error(ErrorCode::kInternal, std::move(message));
}

}  // namespace espalier::control
