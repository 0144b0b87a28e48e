package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/monedula/monedula/internal/testkit"
)

// phrases must not occur in comments, documents, and the names and failures of tests. Readers
// stumble over them, or they have another meaning in plain English. Other string literals are not
// checked, because many contain Kafka's messages.
var phrases = []struct {
	pattern string // regular expression for lower-case text
	instead string
}{
	{`(says?|said|tells?|told) (whether|if)`, "reports whether"},
	{`(go|goes|going|went|gone) on`, "continue, keep, proceed"},
	{`anew|afresh|once more`, "again, or name what is new"},
	{`nobody|somebody|anybody|everybody`, "no caller, a client, all brokers"},
	{`whoever|(for|by|of|to|from|with) who`, "callers that, the broker that"},
	{`so (many|much|long|few)`, "N, this many, for this time"},
	{`(in the midst|amid|amidst)`, "during, while"},
	{`(is|are|was|were|be)( not| already| still| always)? there`, "exists, is missing, is present"},
	{`rooms?|houses?`, "package, code base, space"},
	{`(not|no|nothing|none|never)( [a-z]+){0,6} any more`, "no longer"},
	{`stop(s|ped)? to`, "stop -ing"},
	{`tells?|told`, "report, notify, give, send"},
	{`beside`, "next to, in addition to, compared with"},
	{`judge[sd]?`, "reference, check, compare"},
	{`for ever`, "forever, without limit"},
	{`is of [a-z]+\.[a-z]+`, "implements"},
	{`(stop|leave|shut|exit|close)(s|ped|ping)?( [a-z]+){0,2} in order`, "cleanly"},
	{`(its|own|java's|kafka's) words`, "text, output"},
	{`(has|have) what`, "contains the parts that"},
	{`(that|which|it) (is|are) no (broker|error|failure|list|number|replica|subscription)`, "is not a"},
	{`(for|from) lack of`, "without"},
}

// TestTextIsPlainEnglish fails for each of the phrases in the text that eachText visits.
func TestTextIsPlainEnglish(t *testing.T) {
	var patterns []*regexp.Regexp
	for _, p := range phrases {
		patterns = append(patterns, regexp.MustCompile(`\b(`+p.pattern+`)\b`))
	}
	pieces := 0
	eachText(t, func(place, text string) {
		pieces++
		text = strings.ToLower(strings.Join(strings.Fields(text), " "))
		for i, re := range patterns {
			if at := re.FindStringIndex(text); at != nil {
				t.Errorf("%s: %q in %q; write: %s", place, text[at[0]:at[1]], text[max(0, at[0]-40):min(len(text), at[1]+40)], phrases[i].instead)
			}
		}
	})
	if pieces < 5000 {
		t.Errorf("only %d pieces of text found", pieces)
	}
}

// eachText calls visit for every piece of our own text: a comment of a Go file, script or scenario,
// a paragraph of a document, the failure of a test, or the words in the name of a test. place is
// its file and, for Go files, its line.
func eachText(t *testing.T, visit func(place, text string)) {
	t.Helper()
	root := testkit.Root()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			switch rel {
			case ".git", "logs", "data", "config", "testdata/golden": // config and golden files are Kafka's
				return filepath.SkipDir
			}
			return nil
		}
		top, _, _ := strings.Cut(rel, "/")
		switch extension := filepath.Ext(rel); {
		case extension == ".go":
			return goTexts(path, rel, visit)
		case extension == ".md":
			return paragraphs(path, rel, visit)
		case extension == ".sh" || extension == ".py" || rel == "Makefile" || top == "scripts" || top == "docker" || top == ".ci",
			extension == ".txt" && (top == "controller" || top == "group" || top == "transaction" || top == "internal"): // scenarios and lists
			return scriptComments(path, rel, visit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// goTexts visits the comments of a Go file and, if it is a test file, the names and failures of
// tests.
func goTexts(path, rel string, visit func(place, text string)) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	place := func(p token.Pos) string { return rel + ":" + strconv.Itoa(files.Position(p).Line) }
	for _, group := range f.Comments {
		visit(place(group.Pos()), group.Text())
	}
	if !strings.HasSuffix(rel, "_test.go") {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && testName.MatchString(n.Name.Name) {
				visit(place(n.Pos()), separateWords(n.Name.Name))
			}
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || len(n.Args) == 0 || !failure.MatchString(called.Sel.Name) {
				break
			}
			if text, ok := n.Args[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
				visit(place(n.Pos()), text.Value)
			}
		}
		return true
	})
	return nil
}

var (
	testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z0-9]`)
	failure  = regexp.MustCompile(`^(Error|Fatal|Log)f?$`) // methods of testing.TB
)

// separateWords inserts a space before each word of a name in camel case.
func separateWords(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

var (
	fencedCode = regexp.MustCompile("(?s)```.*?```")
	inlineCode = regexp.MustCompile("`[^`\n]*`")
)

// paragraphs visits the paragraphs of a Markdown file without the code in them.
func paragraphs(path, rel string, visit func(place, text string)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text = inlineCode.ReplaceAll(fencedCode.ReplaceAll(text, nil), []byte("`"))
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		visit(rel, paragraph)
	}
	return nil
}

var scriptComment = regexp.MustCompile(`(?m)^\s*#+ .*$(\n\s*#+ .*$)*|\s#+ .*$`)

// scriptComments visits the comments of a file in which # begins a comment.
func scriptComments(path, rel string, visit func(place, text string)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, comment := range scriptComment.FindAllString(string(text), -1) {
		visit(rel, strings.ReplaceAll(comment, "#", ""))
	}
	return nil
}

// TestDocCommentsBeginWithTheName checks that every exported name of a package has a doc comment,
// that every doc comment of a single name begins with that name, and that those of functions say
// what the function does or returns, or that it is like another one. Names in a group may share
// the comment of the group. Methods of unexported types and the methods of error and fmt.Stringer
// need no comment.
func TestDocCommentsBeginWithTheName(t *testing.T) {
	eachFile(t, func(path, _ string, test bool, _ []string) {
		if test {
			return
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		place := func(name *ast.Ident) string {
			rel, _ := filepath.Rel(testkit.Root(), path)
			return fmt.Sprintf("%s:%d", rel, files.Position(name.Pos()).Line)
		}
		check := func(name *ast.Ident, doc *ast.CommentGroup, needed bool) {
			text := doc.Text()
			switch {
			case text == "" && needed && name.IsExported():
				t.Errorf("%s: %s has no doc comment", place(name), name.Name)
			case text != "" && !beginsWith(text, name.Name):
				t.Errorf("%s: the doc comment of %s begins with %q", place(name), name.Name, strings.Fields(text)[0])
			}
		}
		does := func(name *ast.Ident, doc *ast.CommentGroup) {
			if words := strings.Fields(doc.Text()); len(words) > 2 && words[0] == name.Name && notDone[words[1]] && words[2] != "like" {
				t.Errorf("%s: the doc comment of the function %s begins with %q; say what it does or returns", place(name), name.Name, strings.Join(words[:3], " "))
			}
		}
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				check(decl.Name, decl.Doc, decl.Recv == nil || receiverIsExported(decl) && !wellKnown[decl.Name.Name])
				does(decl.Name, decl.Doc)
			case *ast.GenDecl:
				grouped := decl.Lparen.IsValid()
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						doc := spec.Doc
						if !grouped {
							doc = decl.Doc
						}
						check(spec.Name, doc, true)
					case *ast.ValueSpec:
						if !grouped {
							check(spec.Names[0], decl.Doc, true)
						} else if len(spec.Names) == 1 {
							check(spec.Names[0], spec.Doc, decl.Doc == nil && spec.Comment == nil)
						}
					}
				}
			}
		}
	})
}

// notDone are the verbs with which the doc comment of a function does not say what it does.
var notDone = map[string]bool{"is": true, "are": true, "has": true, "have": true}

// wellKnown are methods whose meaning the standard library defines.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true}

func receiverIsExported(f *ast.FuncDecl) bool {
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// beginsWith reports whether text begins with the name, which may be followed by a punctuation
// mark or 's.
func beginsWith(text, name string) bool {
	rest, ok := strings.CutPrefix(text, name)
	return ok && (rest == "" || !unicode.IsLetter(rune(rest[0])) && !unicode.IsDigit(rune(rest[0])))
}
