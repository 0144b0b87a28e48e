package check

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/settings"
)

// checkFormat checks the file as a whole. It reports whether it is a properties file.
func (d *document) checkFormat() bool {
	text := bytes.TrimSpace(d.Data)
	whole := func(severity findings.Severity, line int, n note) {
		d.add(findings.Finding{Severity: severity, Code: n.code, File: d.Name, Line: line, Text: n.text, Remedy: n.remedy})
	}
	switch {
	case bytes.HasPrefix(d.Data, []byte("\xff\xfe")), bytes.HasPrefix(d.Data, []byte("\xfe\xff")):
		whole(findings.Error, 0, note{"encoding", "the file is encoded in UTF-16, so no key in it is recognized",
			"Save it as plain text in UTF-8 without a byte order mark: iconv -f UTF-16 -t UTF-8 " + d.Name + "."})
		return false
	case len(text) > 0 && (text[0] == '{' || text[0] == '<'):
		whole(findings.Error, 0, note{"not-properties", "the file is JSON or XML, not a properties file", "Write each setting on a line of its own: key=value."})
		return false
	}
	if bytes.HasPrefix(d.Data, []byte("\xef\xbb\xbf")) {
		whole(findings.Error, 1, note{"encoding", "the file begins with a byte order mark, which becomes part of its first key",
			"Remove it: sed -i '1s/^\\xef\\xbb\\xbf//' " + d.Name + "."})
	}
	if bytes.Contains(d.Data, []byte("\r\n")) {
		whole(findings.Remark, 0, note{"windows-lines", "the file has the line ends of Windows (CRLF); brokers accept them, but scripts that read the file may not",
			"Convert it: sed -i 's/\\r$//' " + d.Name + "."})
	}
	for i, line := range bytes.Split(d.Data, []byte("\n")) {
		line = bytes.TrimRight(line, "\r")
		trimmed := bytes.TrimSpace(line)
		switch {
		case len(trimmed) == 0 || trimmed[0] == '#' || trimmed[0] == '!':
		case section.Match(trimmed):
			whole(findings.Warning, i+1, note{"section", fmt.Sprintf("%s is not a section: properties files have none, and the line is a key without a value", trimmed),
				"Remove the line, or write # in front of it."})
		case brokenContinuation.Match(line):
			whole(findings.Warning, i+1, note{"broken-continuation", "the line ends with a backslash and blanks, so it does not continue on the next line",
				"Remove the blanks after the backslash."})
		case bytes.HasPrefix(trimmed, []byte("//")), bytes.HasPrefix(trimmed, []byte(";")):
			whole(findings.Warning, i+1, note{"not-a-comment", "the line is not a comment but a key", "Begin comments with #."})
		}
	}
	return true
}

var (
	section            = regexp.MustCompile(`^\[[A-Za-z ._-]+\]$`)
	brokenContinuation = regexp.MustCompile(`(^|[^\\])(\\\\)*\\[ \t]+$`)
)

// checkTexts checks how the values are written: quotes, comments, placeholders, blanks, paths.
func (d *document) checkTexts() {
	raw := rawLines(d.Data)
	for _, p := range d.listed {
		k := settings.Lookup(p.Key)
		if d.given[p.Key].Line != p.Line || k != nil && k.Sensitive() || strings.HasSuffix(p.Key, "jaas.config") {
			continue // a later entry applies, or the value may contain anything
		}
		d.checkText(p, raw[p.Line])
	}
}

// rawLines returns the lines of a file by number.
func rawLines(data []byte) map[int]string {
	lines := map[int]string{}
	for i, line := range strings.Split(string(data), "\n") {
		lines[i+1] = strings.TrimRight(line, "\r")
	}
	return lines
}

func (d *document) checkText(p settings.Property, raw string) {
	value := strings.TrimSpace(p.Value)
	switch {
	case len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]:
		d.error(p.Key, note{"quoted", fmt.Sprintf("the quotes around the value of %s are part of it", p.Key),
			fmt.Sprintf("Write %s=%s.", p.Key, value[1:len(value)-1])})
	case inlineComment.MatchString(value):
		d.error(p.Key, note{"inline-comment", fmt.Sprintf("the comment after the value of %s is part of the value", p.Key),
			"Move the comment to a line of its own. In properties files a # begins a comment only at the start of a line."})
	case strings.ContainsFunc(raw, isOutsideASCII) && !strings.HasPrefix(p.Key, byteOrderMark):
		d.warn(p.Key, note{"odd-character", fmt.Sprintf("the line of %s contains a character outside ASCII, perhaps a blank, dash or quote from a web page; it is read as ISO 8859-1", p.Key),
			"Type the value again, or write the character as \\uXXXX."})
	case d.isUnresolved(value):
		d.error(p.Key, note{"placeholder", fmt.Sprintf("the placeholder in %s=%s is not replaced", p.Key, value),
			"Write the value itself. Environment variables and templates are not expanded; config.providers=env with config.providers.env.class=" +
				"org.apache.kafka.common.config.provider.EnvVarConfigProvider allows ${env:NAME}."})
	case strings.Contains(value, "your.host.name"), strings.Contains(value, "<") && strings.Contains(value, ">"):
		d.error(p.Key, note{"placeholder", fmt.Sprintf("%s=%s is an example that was not replaced", p.Key, value), "Write the real value."})
	}
	if p.Value != strings.TrimRight(p.Value, " \t") && !brokenContinuation.MatchString(raw) {
		d.remark(p.Key, note{"trailing-blanks", fmt.Sprintf("the value of %s ends with blanks, which brokers ignore here but other programs may not", p.Key), "Remove them."})
	}
	if windowsPath.MatchString(raw) {
		d.error(p.Key, note{"windows-path", fmt.Sprintf("%s is a path of Windows; its backslashes are removed, which leaves %s", p.Key, value),
			"Write a path of this system, such as " + p.Key + "=/var/lib/kafka."})
	}
}

// byteOrderMark is the byte order mark of UTF-8, read as ISO 8859-1.
const byteOrderMark = "\u00ef\u00bb\u00bf"

func isOutsideASCII(r rune) bool { return r > 126 }

var (
	inlineComment = regexp.MustCompile(`\S\s+(#|//\s)`)
	windowsPath   = regexp.MustCompile(`[=:\s,"][A-Za-z]:\\`)
	unresolved    = regexp.MustCompile(`\$\{[^}]*\}|\{\{.*\}\}|<%.*%>|\$\(.*\)|^\$[A-Z_][A-Z0-9_]*$|^%[A-Za-z_]+%$|^@[A-Za-z_.]+@$`)
	fromProvider  = regexp.MustCompile(`^\$\{([^}:]*):[^}]*\}$`)
)

// isUnresolved reports whether a value contains a placeholder that no config provider replaces.
func (d *document) isUnresolved(value string) bool {
	for _, found := range unresolved.FindAllString(value, -1) {
		m := fromProvider.FindStringSubmatch(found)
		if m == nil || !d.hasProvider(m[1]) {
			return true
		}
	}
	return false
}

func (d *document) hasProvider(name string) bool {
	for _, provider := range split(d.values["config.providers"]) {
		if provider == name {
			return true
		}
	}
	return false
}
