package zkshell

import (
	"fmt"
	"strings"

	"github.com/monedula/monedula/zkserver/jute"
)

var aclCommands = []command{
	{name: "addauth", usage: "scheme auth", least: 2, run: (*shell).addAuth},
	{name: "getAcl", usage: "[-s] path", options: "s", least: 2, run: (*shell).getACL},
	{name: "setAcl", usage: "[-s] [-v version] [-R] path acl", options: "s v: R", least: 3, run: (*shell).setACL},
	{name: "whoami", least: 1, run: (*shell).whoAmI, ignoresAll: true},
}

// permissions are the letters of permissions, in the order in which they are printed.
var permissions = []struct {
	letter rune
	bit    int32
}{{'c', 4}, {'d', 8}, {'r', 1}, {'w', 2}, {'a', 16}}

// parseACL parses scheme:id:permissions,... It complains about wrong entries and leaves them out.
func (sh *shell) parseACL(text string) []jute.ACL {
	acl := []jute.ACL{}
	if text != "" && strings.Trim(text, ",") == "" {
		return acl
	}
	for _, entry := range strings.Split(strings.TrimRight(text, ","), ",") {
		first, last := strings.IndexByte(entry, ':'), strings.LastIndexByte(entry, ':')
		if first == last {
			sh.complain(entry + " does not have the form scheme:id:perm")
			continue
		}
		acl = append(acl, jute.ACL{ID: jute.ID{Scheme: entry[:first], ID: entry[first+1 : last]}, Perms: sh.parsePermissions(entry[last+1:])})
	}
	return acl
}

func (sh *shell) parsePermissions(text string) (bits int32) {
	for _, letter := range text {
		known := false
		for _, p := range permissions {
			if p.letter == letter {
				bits, known = bits|p.bit, true
			}
		}
		if !known {
			sh.complain("Unknown perm type: " + string(letter))
		}
	}
	return bits
}

// permissionText returns the letters of permissions.
func permissionText(bits int32) (text string) {
	for _, p := range permissions {
		if bits&p.bit != 0 {
			text += string(p.letter)
		}
	}
	return text
}

func (sh *shell) addAuth(l *commandLine) error {
	var auth []byte
	if len(l.args) >= 3 {
		auth = []byte(l.args[2])
	}
	sh.session.addAuth(l.args[1], auth)
	return nil
}

func (sh *shell) getACL(l *commandLine) error {
	path := l.args[1]
	if err := checkPath(path); err != nil {
		return err
	}
	var response jute.GetACLResponse
	if err := sh.session.do(jute.OpGetACL, path, &jute.PathRequest{Path: sh.session.chroot.to(path)}, &response, nil); err != nil {
		return err
	}
	for _, entry := range response.ACL {
		sh.println(fmt.Sprintf("'%s,'%s\n: %s", entry.ID.Scheme, entry.ID.ID, permissionText(entry.Perms)))
	}
	if l.has("s") {
		sh.printStat(&response.Stat)
	}
	return nil
}

func (sh *shell) setACL(l *commandLine) error {
	path := l.args[1]
	acl := sh.parseACL(l.args[2])
	version, err := l.version()
	if err != nil {
		return err
	}
	if err := checkPath(path); err != nil {
		return err
	}
	var stat jute.Stat
	setOne := func(path string) error {
		if len(acl) == 0 {
			return failure{code: invalidACL}
		}
		return sh.session.do(jute.OpSetACL, path, &jute.SetACLRequest{Path: sh.session.chroot.to(path), ACL: acl, Version: version}, &stat, nil)
	}
	if !l.has("R") {
		if err := setOne(path); err != nil {
			return err
		}
		if l.has("s") {
			sh.printStat(&stat)
		}
		return nil
	}
	visit := func(path string) {
		if err := setOne(path); err != nil {
			sh.print(err.Error())
		}
	}
	if _, _, err := sh.data(path, false); err != nil {
		return err
	}
	visit(path)
	return sh.eachBelow(path, false, visit)
}

func (sh *shell) whoAmI(*commandLine) error {
	var response jute.WhoAmIResponse
	if err := sh.session.do(jute.OpWhoAmI, "", &nothing{}, &response, nil); err != nil {
		return err
	}
	sh.println("Auth scheme: User")
	for _, id := range response.ClientInfo {
		sh.println(id.Scheme + ": " + id.ID)
	}
	return nil
}
