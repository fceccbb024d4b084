#include <array>

#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

using control::OptionSpec;

constexpr std::array kGlobal{
    OptionSpec{"--run", "DIR", "/run/espalier",
               "The run folder of the daemon; its socket is DIR/vici.sock."},
    OptionSpec{"--config", "DIR", "/etc/espalier", "The configuration folder."},
    OptionSpec{"--help", "", "", "Print help, of the verb if there is one.", 'h'},
    OptionSpec{"--version", "", "", "Print the version of this command."},
};

constexpr OptionSpec kJson{"--json", "", "", "Print JSON; fields are only ever added."};
constexpr OptionSpec kTimeout{"--timeout", "TIME", "30s",
                              "How long to wait for the outcome: 30s, 500ms, 2m."};
constexpr OptionSpec kSelf{"--self", "NAME", "the host name, then an own address",
                           "The host to look from."};

constexpr std::array kStatusOptions{kJson};
constexpr std::array kWaitOptions{kTimeout};
constexpr std::array kRekeyOptions{
    OptionSpec{"--ike", "", "", "Rekey the IKE SA instead of its children."}, kTimeout};
constexpr std::array kLogOptions{
    OptionSpec{"--follow", "", "", "Go on with the lines to come, until interrupted.", 'f'},
    OptionSpec{"--json", "", "", "Print one JSON object a line."}};
constexpr std::array kReloadOptions{
    OptionSpec{"--force", "", "", "Even though it cuts off somebody who is logged in."}, kJson};
constexpr std::array kCheckOptions{
    OptionSpec{"--host", "", "", "Check this machine: its kernel, settings and firewall."},
    OptionSpec{"--force", "", "", "Even though it would cut off somebody who is logged in."}, kSelf,
    kJson};
constexpr std::array kFirewallOptions{
    OptionSpec{"--nftables", "", "", "Commands for nft -f; the default."},
    OptionSpec{"--iptables", "", "", "Commands for a shell, with iptables and ip6tables."},
    OptionSpec{"--ufw", "", "", "Commands for a shell, with ufw."}, kSelf};
constexpr std::array kSecretPairOptions{kSelf};
constexpr OptionSpec kManualSuite{"--suite", "S", "aes256-sha256",
                                  "The suite in strongSwan's words: CBC with an HMAC."};
constexpr std::array kManualNewOptions{
    kManualSuite, OptionSpec{"--one", "", "", "One SPI and the same keys for both directions."},
    OptionSpec{
        "--printable", "", "",
        "Keys of printable characters, for devices that take no hex: some 6.4 bits of chance "
        "an octet instead of 8."}};
constexpr std::array kManualSheetOptions{
    OptionSpec{"--own", "", "", "This side's sheet instead of the other's."},
    OptionSpec{"--device", "D", "espalier",
               "As the device writes it: espalier, halon-sr, halon-sx, sonicwall, juniper, zyxel."},
    OptionSpec{"--ip", "", "", "As `ip xfrm` commands for Linux."},
    OptionSpec{"--keys", "", "", "With --json, the keys too."},
    kSelf,
    kJson};
constexpr std::array kManualConvertOptions{
    OptionSpec{"--from", "D", "espalier", "The device that the values are from."},
    OptionSpec{"--to", "D", "espalier", "The device that they are for."}, kManualSuite};
constexpr std::array kMtuOptions{
    OptionSpec{"--packet", "N", "the largest that passes",
               "A packet of so many octets, IP header included."},
    OptionSpec{"--suite", "S", "", "The suite in strongSwan's words: aes256gcm16, aes256-sha256."},
    OptionSpec{"--mode", "MODE", "tunnel", "tunnel or transport."},
    OptionSpec{"--nat", "", "", "ESP inside UDP, as behind NAT (RFC 3948)."},
    OptionSpec{"--ipv6", "", "", "Between IPv6 addresses."},
    OptionSpec{"--path", "N", "1500", "The path's MTU, instead of asking the path."},
    kJson};
constexpr std::array kTeardownOptions{
    OptionSpec{"--force", "", "", "Even though a daemon runs; it will notice and complain."}};
constexpr std::array kSimulateOptions{
    OptionSpec{"--loss", "P", "0", "So many per cent of the datagrams are lost."},
    OptionSpec{"--duplicate", "P", "0", "So many per cent of them arrive twice."},
    OptionSpec{"--reorder", "P", "0",
               "So many per cent of them take twenty times as long: others overtake them."},
    OptionSpec{"--latency", "T", "5ms", "How long a datagram travels."},
    OptionSpec{"--jitter", "T", "0s", "Up to so much is added to that, by chance."},
    OptionSpec{"--reboot", "HOST@T", "",
               "At time T the host crashes, loses every SA, and starts again after --downtime.", 0,
               true},
    OptionSpec{"--restart", "HOST@T", "",
               "At time T the host's daemon is killed, and starts again after --downtime with its "
               "journal; the dataplane goes on meanwhile.",
               0, true},
    OptionSpec{"--downtime", "T", "5s", "How long a host that reboots, or its daemon, is away."},
    OptionSpec{"--lose-state", "", "",
               "Hosts that reboot have lost their state folder too: they cannot prove that they "
               "crashed."},
    OptionSpec{"--netsplit", "A,B@T+D", "",
               "From T on, for the time D, nothing passes between the hosts A and B.", 0, true},
    OptionSpec{"--oneway", "A,B@T+D", "",
               "From T on, for the time D, nothing of A reaches B; B still reaches A.", 0, true},
    OptionSpec{"--kill", "P@T", "",
               "At time T so many per cent of the hosts, at least one, chosen by the seed, crash "
               "and stay away. Their pairs do not count as broken; their peers are to let the SAs "
               "go.",
               0, true},
    OptionSpec{"--rebind", "HOST@T", "",
               "At time T a NAT before the host forgets its ports: it comes from other ones.", 0,
               true},
    OptionSpec{
        "--move", "HOST@T[+D]", "",
        "At time T the host has new addresses, which the inventory does not name (RFC 4555); after "
        "D it has its own again.",
        0, true},
    OptionSpec{"--expire", "HOST@T", "",
               "At time T every SA of the host's dataplane expires at once.", 0, true},
    OptionSpec{"--soft-expire", "HOST@T", "",
               "At time T the host's dataplane asks for a rekey of every SA at once.", 0, true},
    OptionSpec{"--vanish", "HOST@T", "",
               "At time T every SA goes from the host's dataplane and nobody tells its engine; it "
               "compares the two every 10 s.",
               0, true},
    OptionSpec{"--refuse", "P", "0",
               "So many per cent of the installations fail in the dataplane."},
    OptionSpec{"--sad-limit", "N", "any number", "SAs that a host's dataplane holds."},
    OptionSpec{"--drift", "PPM", "0",
               "Each host's clock is wrong by up to so many millionths, by chance."},
    OptionSpec{"--election", "", "",
               "One end of a pair waits for the other, as in production; else both ends initiate "
               "every pair."},
    OptionSpec{"--crypto", "WORD", "auto",
               "Diffie-Hellman: real (OpenSSL's), simulated (cheap, of the same sizes), or auto: "
               "simulated, and real for every seed that 16 divides."},
    OptionSpec{"--for", "T", "until the mesh is whole",
               "Go on for at least so much virtual time, with loss and all."},
    OptionSpec{"--seed", "S", "1", "The seed that all chance follows from."},
    OptionSpec{"--seeds", "K", "1", "Run so many seeds, from S on."},
    OptionSpec{"--jobs", "N", "one per processor", "Seeds at once."},
    OptionSpec{"--trace", "", "",
               "Print every step: messages decrypted, timers, what dataplanes are told, events."},
    OptionSpec{"--only", "A,B", "",
               "With --trace: only what passes between the hosts A and B and concerns their pair."},
    kJson};
constexpr std::array kHelpOptions{
    OptionSpec{"--man", "", "", "Print the man page: of espalier, or `help --man espalierd`."},
    OptionSpec{"--completion", "SHELL", "", "Print a completion script; SHELL is bash."}};

constexpr std::array kVerbs{
    Verb{"status", "[NAME]", 0, 1, kStatusOptions, run_status,
         "Show every configured pair, or one in detail.",
         "Lists every configured pair with its state, how long it is up, its suite, traffic and "
         "next rekey; under a pair that is not up stands why, and when it is tried again. With "
         "NAME it shows that pair in detail and exits 1 when it is not up."},
    Verb{"up", "NAME", 1, 1, kWaitOptions, run_up, "Bring a pair up and wait for the outcome.",
         "Starts the pair, shows its log lines as they happen, and waits until it is up (0) or "
         "has failed (1). A pair that `down` disabled is enabled again."},
    Verb{"down", "NAME", 1, 1, kWaitOptions, run_down, "Take a pair down and keep it down.",
         "Deletes the SAs of the pair; it stays down until `up` or a reload. Under `protect: "
         "require` its traffic is then blocked, not sent in the clear."},
    Verb{"rekey", "NAME", 1, 1, kRekeyOptions, run_rekey,
         "Rekey the child SAs of a pair, or its IKE SA.",
         "Makes new keys without a gap, and waits for the outcome."},
    Verb{"log", "[NAME]", 0, 1, kLogOptions, run_log, "Show the recent log of the daemon.",
         "Prints the daemon's recent log lines, of one pair or of all. With --follow it goes on "
         "with those to come."},
    Verb{"reload", "", 0, 0, kReloadOptions, run_reload,
         "Reload the configuration, and say which pairs changed.",
         "Pairs that the change does not concern are not touched. A file with an error changes "
         "nothing and exits 65. So does, with 1, one that would close the connection by which you "
         "(SSH_CONNECTION) or somebody else (an established connection to port 22) are logged in "
         "and that is not closed yet: add it to `except`, or give --force."},
    Verb{"check", "[FILE]", 0, 1, kCheckOptions, run_check,
         "Check an inventory, without a daemon; or, with --host, this machine.",
         "Prints file:line:column and what is wrong for every fault, and exits 65; else what the "
         "host would do: its pairs, selectors and suites. On a host that it would cut you off from "
         "it says so and exits 1, as `reload` would. With --host it looks at this machine instead: "
         "what the kernel lacks for ESP, settings that hurt a mesh, firewall rules that would drop "
         "IKE or ESP, another VPN that still runs, each with the command that mends it; and which "
         "dataplane `espalierd --dataplane auto` takes here, and why. The inventory is FILE, or "
         "else "
         "CONFIG/mesh.yaml; --host does without one. It changes nothing, needs root to "
         "see all, and exits 1 when there is something to mend."},
    Verb{
        "firewall", "[FILE]", 0, 1, kFirewallOptions, run_firewall,
        "Print rules that let the mesh through this host's firewall.",
        "From FILE, or else CONFIG/mesh.yaml: IKE (udp/500), IKE and ESP behind NAT (udp/4500) and "
        "ESP of the peers' addresses, and what comes out of IPsec. It changes nothing itself, and "
        "nothing is closed by the rules: the daemon does that."},
    Verb{"simulate", "INVENTORY", 1, 1, kSimulateOptions, run_simulate,
         "Run the whole mesh in virtual time, under faults.",
         "Compiles the inventory for every host as the daemon does and runs all the engines in one "
         "process, over a virtual network: how long the mesh takes to be whole, how many messages "
         "and SAs it costs, which pairs were down for how long. No secret, certificate or other "
         "host is needed, and nothing leaves this process. All hosts start at the same moment. P "
         "is in per cent; T and D are like 37s, 500ms, 2m, counted from the start. Loss and the "
         "other chances go on until every pair is up and the last fault is over (at most ten "
         "minutes after it); then the network heals, and five minutes later every pair must have "
         "one IKE SA and its children, the same at both ends. The inventory, the options, the seed "
         "and the version are the whole run: the same again gives the same. It exits 1 when a pair "
         "stayed broken or an invariant did not hold, and prints the line that repeats it."},
    Verb{"secret new",
         "",
         0,
         0,
         {},
         run_secret_new,
         "Print a new random mesh secret.",
         "Prints 0s and 32 random octets in base64: one line for CONFIG/private/mesh.secret. Make "
         "the file with `umask 077`."},
    Verb{"secret pair", "PEER", 1, 1, kSecretPairOptions, run_secret_pair,
         "Print the key of one pair, for a foreign box.",
         "Derives the pair's key from CONFIG/private/mesh.secret and prints it as 0x and hex. "
         "Whoever holds the mesh secret can compute every pair's key: it keeps pairs apart on the "
         "wire, not hosts from each other. Certificates (auth: cert) do that."},
    Verb{
        "manual new", "", 0, 0, kManualNewOptions, run_manual_new,
        "Print new manual keys and SPIs.",
        "Prints keys of the lengths that the suite needs, as a file below CONFIG/private that both "
        "ends get, and SPIs for mesh.yaml. Make the file with `umask 077`."},
    Verb{"manual sheet", "NAME", 1, 1, kManualSheetOptions, run_manual_sheet,
         "Print what the other end of a manual tunnel needs.",
         "Prints the SPIs, keys, addresses and networks of the tunnel NAME of CONFIG/mesh.yaml as "
         "the other side has them: in and out swapped. It needs no daemon. Whoever reads the sheet "
         "reads the traffic."},
    Verb{
        "manual convert", "FILE", 1, 1, kManualConvertOptions, run_manual_convert,
        "Convert manual keys and SPIs from one device's notation to another's.",
        "FILE (- is standard input) has lines as `spi: 100`, `encr: KEY`, `integ: KEY`, each also "
        "with -in or -out, as the device shows them. SonicWALL, Juniper and Halon SX write keys as "
        "hex without 0x, and their SPI 100 is 0x100; a ZyWALL has one decimal SPI and keys of "
        "printable characters. Keys of a wrong length and weak ones are refused."},
    Verb{
        "mtu", "[PEER]", 0, 1, kMtuOptions, run_mtu,
        "Show how large packets are on the wire, and what fits.",
        "Prints every term of the sum, the largest packet that fits the path, and the MSS for TCP "
        "in it. Either of a suite (--suite, --packet), without a daemon; or of PEER, a pair that "
        "is up: then the path is probed, which takes some seconds and needs root. Outside the "
        "tunnel a UDP datagram goes to the peer's IKE port with DF set, and routers and the kernel "
        "say what is too large; through the tunnel, pings with DF go to the peer."},
    Verb{"teardown", "", 0, 0, kTeardownOptions, run_teardown,
         "Remove every device, route and rule of ours from this host.",
         "Works without the daemon. Traffic that was protected flows in the clear afterwards. "
         "While a daemon answers on RUN/vici.sock it refuses (exit 1), unless --force."},
    Verb{"version",
         "",
         0,
         0,
         {},
         run_version,
         "Print the versions of this command and the daemon.",
         "A daemon that does not answer is no error."},
    Verb{"help", "[VERB]", 0, 2, kHelpOptions, run_help, "Print help, of one verb or of all.", ""},
};

}  // namespace

std::span<const Verb> verb_table() { return kVerbs; }
std::span<const OptionSpec> global_options() { return kGlobal; }

}  // namespace espalier::cli
