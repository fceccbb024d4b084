// The verbs of the command as one table: parser, help, man page and shell completion come from it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/environment.hpp"
#include "cli/exit_status.hpp"
#include "control/options.hpp"
#include "control/view.hpp"

namespace espalier::cli {

struct Verb;

// One run of a verb.
struct Call {
  const Verb& verb;
  Environment& env;
  control::ParsedOptions options;  // the verb's own
  std::string run;                 // --run
  std::string config;              // --config

  const std::vector<std::string>& words() const { return options.words; }
  bool has(std::string_view option) const { return options.has(option); }
  std::string socket() const { return run + "/vici.sock"; }
};

struct Verb {
  std::string_view name;       // "status", "secret new"
  std::string_view arguments;  // "[NAME]"
  std::size_t min_words = 0;
  std::size_t max_words = 0;
  std::span<const control::OptionSpec> options;
  int (*run)(Call& call) = nullptr;  // the exit status
  std::string_view help;             // a phrase
  std::string_view text;             // more, for the man page
};

std::span<const Verb> verb_table();
std::span<const control::OptionSpec> global_options();

// The handlers, by file.
int run_status(Call& call);  // daemon_verbs.cpp
int run_up(Call& call);
int run_down(Call& call);
int run_rekey(Call& call);
int run_log(Call& call);
int run_reload(Call& call);
int run_version(Call& call);
int run_check(Call& call);       // file_verbs.cpp
int run_host_check(Call& call);  // host_check_verb.cpp
int run_firewall(Call& call);    // firewall_verb.cpp
int run_secret_new(Call& call);
int run_secret_pair(Call& call);
int run_teardown(Call& call);    // host_verbs.cpp
int run_mtu(Call& call);         // mtu_verb.cpp
int run_manual_new(Call& call);  // manual_verbs.cpp
int run_manual_sheet(Call& call);
int run_manual_convert(Call& call);
int run_simulate(Call& call);  // simulate_verb.cpp
int run_help(Call& call);      // help.cpp

// Prints "espalier: message" on standard error and gives the status of the error.
int fail(Environment& env, const Error& error);

// What the daemon says of itself and of every pair. Errors: as Connection::request().
Result<control::StatusSnapshot> fetch_status(Connection& daemon);
// The pair of that name or with that peer; else an error that lists the peers.
Result<control::PairStatus> find_pair(const control::StatusSnapshot& snapshot,
                                      const std::string& name);
// A conversation that broke off: the daemon went away, or does not know what we ask.
int broken(Call& call, const Error& error);

// Connects, or says why not and what to do (exit 69), and calls body(connection).
int with_daemon(Call& call, const std::function<int(Connection&)>& body);

// `espalier help`, docs/man/espalier.1 and a completion for bash.
std::string help_text();
std::string verb_help(const Verb& verb);
std::string man_text();
std::string bash_completion();

// The whole command: the arguments after the program's name to an exit status.
int run(Environment& env, std::span<const std::string> arguments);

}  // namespace espalier::cli
