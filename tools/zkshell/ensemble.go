package zkshell

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

// versionText names the release of Apache ZooKeeper whose shell this one follows: that of Kafka 3.9.
const versionText = "ZooKeeper CLI version: 3.8.4-monedula"

const reconfigUsage = "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]"

var ensembleCommands = []command{
	{name: "close", least: 1, run: (*shell).closeSession, ignoresAll: true},
	{name: "config", usage: "[-c] [-w] [-s]", options: "s w c", least: 1, run: (*shell).config},
	{name: "reconfig", usage: reconfigUsage, options: "s v: file: members: add: remove:", least: 1, run: (*shell).reconfig},
	{name: "version", least: 1, run: (*shell).version},
}

func (sh *shell) closeSession(*commandLine) error {
	sh.session.close()
	return nil
}

func (sh *shell) version(l *commandLine) error {
	if len(l.args) > 1 {
		return malformed("version ")
	}
	sh.println(versionText)
	return nil
}

// configPath is the node with the members of the ensemble. It is the same with any chroot.
const configPath = "/zookeeper/config"

func (sh *shell) config(l *commandLine) error {
	s, watch := sh.session, l.has("w")
	var response jute.GetDataResponse
	err := s.do(jute.OpGetData, configPath, &jute.PathWatchRequest{Path: configPath, Watch: watch}, &response, func(result code) {
		if result == ok && watch {
			s.watchOnServer(dataWatch, configPath)
		}
	})
	if err != nil {
		return err
	}
	members := text(response.Data)
	if l.has("c") {
		members = clientAddresses(members)
	}
	sh.println(members)
	if l.has("s") {
		sh.printStat(&response.Stat)
	}
	return nil
}

// clientAddresses returns the version and the addresses for clients in a configuration.
func clientAddresses(configuration string) string {
	version, addresses := "", []string{}
	for line := range strings.Lines(configuration) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case key == "version":
			version = value
		case strings.HasPrefix(key, "server."):
			server, client, found := strings.Cut(value, ";")
			if !found {
				continue
			}
			if !strings.Contains(client, ":") {
				host, _, _ := strings.Cut(server, ":")
				client = host + ":" + client
			}
			addresses = append(addresses, client)
		}
	}
	return version + " " + strings.Join(addresses, ",")
}

// reconfig changes the members of an ensemble.
func (sh *shell) reconfig(l *commandLine) error {
	if !l.has("file") && !l.has("members") && !l.has("add") && !l.has("remove") {
		return malformed("reconfig " + reconfigUsage)
	}
	request := &jute.ReconfigRequest{CurConfigID: -1}
	if text, given := l.values["v"]; given {
		version, err := strconv.ParseInt(text, 16, 64)
		if err != nil {
			return malformed("-v must be followed by a long (configuration version)")
		}
		request.CurConfigID = version
	}
	switch whole := l.has("file") || l.has("members"); {
	case whole && (l.has("add") || l.has("remove")):
		return malformed("Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)")
	case l.has("file") && l.has("members"):
		return malformed("Can't use -file and -members together (conflicting non-incremental modes)")
	}
	request.JoiningServers, request.LeavingServers = strings.ToLower(l.values["add"]), strings.ToLower(l.values["remove"])
	request.NewMembers = strings.ToLower(l.values["members"])
	if file, given := l.values["file"]; given {
		members, err := membersOf(file)
		if err != nil {
			return malformed(fmt.Sprintf("Error processing %s%s", file, err))
		}
		request.NewMembers = members
	}
	var response jute.GetDataResponse
	if err := sh.session.do(jute.OpReconfig, "", request, &response, nil); err != nil {
		return err
	}
	sh.println("Committed new configuration:\n" + text(response.Data))
	if l.has("s") {
		sh.printStat(&response.Stat)
	}
	return nil
}

// membersOf returns the lines of a file of members that name servers.
func membersOf(file string) (string, error) {
	p, err := readProperties(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New(file + " (No such file or directory)")
	}
	if err != nil {
		return "", err
	}
	var lines []string
	for _, key := range p.Keys() {
		if strings.HasPrefix(key, "server.") {
			lines = append(lines, key+"="+p.GetString(key, ""))
		}
	}
	return strings.Join(lines, "\n"), nil
}
