#include "cli/status_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/log_text.hpp"
#include "control/fake_view.hpp"

namespace espalier::cli {
namespace {

using nlohmann::json;

TEST(StatusTextTest, table) {
  EXPECT_EQ(status_table(control::two_pairs(), false),
            "bender in mesh prod: espalierd 0.1.0, userspace dataplane, configuration 3\n"
            "PAIR          STATE     SINCE  SUITE                 IN    OUT  REKEY IN\n"
            "bender-amy    waiting       -  -                      -      -         -\n"
            "  4 attempts, next in 12s: amy (192.0.2.13) did not answer 5 IKE_SA_INIT requests in "
            "20 s.\n"
            "bender-flexo  up       2m 03s  aes256gcm16-esn  1.2 MiB  512 B   57m 00s\n"
            "1 of 2 pairs up\n");
}

TEST(StatusTextTest, table_without_pairs) {
  control::StatusSnapshot empty;
  empty.self = "bender";
  empty.mesh = "prod";
  empty.version = "0.1.0";
  empty.dataplane = "userspace";
  EXPECT_EQ(status_table(empty, false),
            "bender in mesh prod: espalierd 0.1.0, userspace dataplane, configuration 0\n"
            "0 of 0 pairs up\n");
}

TEST(StatusTextTest, table_without_inventory) {
  control::StatusSnapshot empty;
  empty.version = "0.1.0";
  empty.dataplane = "userspace";
  EXPECT_EQ(status_table(empty, false),
            "no inventory: espalierd 0.1.0, userspace dataplane, configuration 0\n"
            "0 of 0 pairs up\n");
}

TEST(StatusTextTest, detail_says_nothing_of_keys_that_are_not_there_yet) {
  auto snapshot = control::two_pairs();
  snapshot.pairs[1].ike->state = "connecting";
  const std::string text = status_detail(snapshot.pairs[1], false);
  EXPECT_NE(text.find("connecting, initiator"), text.npos);
  EXPECT_EQ(text.find("established"), text.npos);
  EXPECT_EQ(text.find("aes256gcm16-prfsha384"), text.npos);
}

TEST(StatusTextTest, detail) {
  const auto snapshot = control::two_pairs();
  EXPECT_EQ(status_detail(snapshot.pairs[1], false),
            "bender-flexo\n"
            "    peer    flexo\n"
            "    state   up\n"
            "  IKE SA\n"
            "    state   established, initiator\n"
            "    local   192.0.2.11[4500] as bender\n"
            "    remote  192.0.2.12[4500] as flexo\n"
            "    spi     local 0102030405060708, remote 1112131415161718\n"
            "    suite   aes256gcm16-prfsha384-x25519\n"
            "    age     established 2m 03s ago, rekey in 3h 53m\n"
            "    nat     no\n"
            "  child hosts\n"
            "    state   installed, tunnel mode, reqid 0xe5000001\n"
            "    suite   aes256gcm16-esn\n"
            "    spi     in c0ffee01, out c0ffee02\n"
            "    in      1.2 MiB in 1000 packets\n"
            "    out     512 B in 4 packets\n"
            "    age     installed 2m 03s ago, rekey in 57m 00s\n"
            "    local   192.0.2.11/32\n"
            "    remote  192.0.2.12/32 10.3.0.0/16\n");
  EXPECT_EQ(status_detail(snapshot.pairs[0], false),
            "bender-amy\n"
            "    peer      amy\n"
            "    state     waiting\n"
            "    attempts  4\n"
            "    next try  in 12s\n"
            "    reason    amy (192.0.2.13) did not answer 5 IKE_SA_INIT requests in 20 s.\n");
}

// DESIGN.md "status --json": names, order, nulls and types are a promise.
TEST(StatusTextTest, json_schema) {
  const std::string text = status_json(control::two_pairs());
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed, json::parse(R"({
    "mesh": "prod", "self": "bender", "version": "0.1.0", "dataplane": "userspace",
    "dataplane_why": "", "generation": 3, "certificates": [], "repairs": {}, "notes": [], "pairs": [
      {"name": "bender-amy", "peer": "amy", "state": "waiting",
       "reason": "amy (192.0.2.13) did not answer 5 IKE_SA_INIT requests in 20 s.",
       "attempts": 4, "next_retry_s": 12, "ike": null, "children": []},
      {"name": "bender-flexo", "peer": "flexo", "state": "up", "reason": null, "attempts": 0,
       "next_retry_s": null,
       "ike": {"state": "established", "role": "initiator", "local": "192.0.2.11[4500]",
               "remote": "192.0.2.12[4500]", "local_id": "bender", "remote_id": "flexo",
               "spi_local": "0102030405060708",
               "spi_remote": "1112131415161718", "suite": "aes256gcm16-prfsha384-x25519",
               "established_s": 123, "rekey_in_s": 14000, "nat": false,
               "certificate": null},
       "children": [
         {"name": "hosts", "mode": "tunnel", "state": "installed", "suite": "aes256gcm16-esn",
          "spi_in": "c0ffee01", "spi_out": "c0ffee02", "reqid": 3841982465,
          "bytes_in": 1258291, "bytes_out": 512, "packets_in": 1000, "packets_out": 4,
          "installed_s": 123, "rekey_in_s": 3420, "local_ts": ["192.0.2.11/32"],
          "remote_ts": ["192.0.2.12/32", "10.3.0.0/16"],
          "udp_encap": false, "manual": false}]}]})"));
  EXPECT_LT(text.find("\"mesh\""), text.find("\"self\""));
  EXPECT_LT(text.find("\"generation\""), text.find("\"pairs\""));
}

TEST(StatusTextTest, certificates_near_their_end_stand_before_the_pairs) {
  auto snapshot = control::two_pairs();
  snapshot.certificates = {{"own", "x509/bender.pem", "CN=bender", "expired", 1, 2, "It is over."}};
  snapshot.pairs[1].ike->certificate = "CN=flexo";
  snapshot.pairs[1].ike->certificate_until = 86400;
  const std::string text = status_table(snapshot, false);
  EXPECT_NE(text.find("\nwarning: It is over.\nPAIR"), std::string::npos) << text;
  EXPECT_NE(status_detail(snapshot.pairs[1], false)
                .find("    certificate  CN=flexo until 1970-01-02 00:00:00 UTC\n"),
            std::string::npos);
  const json parsed = json::parse(status_json(snapshot));
  EXPECT_EQ(parsed["certificates"][0], json::parse(R"({"kind": "own", "where": "x509/bender.pem",
    "subject": "CN=bender", "state": "expired", "from": 1, "until": 2, "text": "It is over."})"));
  EXPECT_EQ(parsed["pairs"][1]["ike"]["certificate"],
            json::parse(R"({"subject": "CN=flexo", "until": 86400})"));
}

TEST(StatusTextTest, json_survives_octets_that_are_no_text) {
  auto snapshot = control::two_pairs();
  snapshot.pairs[0].reason = "peer said \xff\xfe";
  EXPECT_NO_THROW({
    const json parsed = json::parse(status_json(snapshot));
    EXPECT_TRUE(parsed["pairs"][0]["reason"].is_string());
  });
}

TEST(StatusTextTest, reload) {
  control::ReloadReport report;
  report.added = {"bender-zoidberg"};
  report.unchanged = 2;
  report.generation = 4;
  EXPECT_EQ(reload_text(report),
            "Reloaded: 1 added, 0 removed, 0 changed, 2 unchanged; configuration 4.\n"
            "  added     bender-zoidberg\n");
  EXPECT_EQ(json::parse(reload_json(report)),
            json::parse(R"({"added": ["bender-zoidberg"], "removed": [], "changed": [],
                            "unchanged": 2, "generation": 4})"));
}

TEST(LogTextTest, line_and_json) {
  const control::LogRecord record{7, LogLevel::kWarning, "ike", "bender-amy", "no\nanswer"};
  EXPECT_EQ(log_text(record, "T", false), "T warning ike       bender-amy: no?answer\n");
  EXPECT_EQ(json::parse(log_json(record)),
            json::parse(R"({"unix_ms": 7, "level": "warning", "room": "ike",
                            "pair": "bender-amy", "text": "no\nanswer"})"));
}

}  // namespace
}  // namespace espalier::cli
