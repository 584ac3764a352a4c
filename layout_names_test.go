package perch_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// names is what exists in this repository.
type names struct {
	files    map[string]bool            // paths; directories too, with a slash at the end
	packages map[string]map[string]bool // by package name: what is declared at the top of files, "Type.Member" too
	types    map[string]bool            // "Type.Member" of any package, and "Type"
	words    map[string]bool            // every identifier that is declared or used
	strings  map[string]bool            // every string literal, for names of flags, variables and the like
	make     map[string]bool            // targets
	made     []string                   // paths in .gitignore: what is built
}

// survey collects the names under root.
func survey(root fs.FS) (*names, error) {
	n := &names{
		files: map[string]bool{}, packages: map[string]map[string]bool{}, types: map[string]bool{},
		words: map[string]bool{}, strings: map[string]bool{}, make: map[string]bool{},
	}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != "." && (base == ".git" || base == "bin" || base == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() {
			name += "/"
		}
		n.files[name] = true
		return n.otherFile(root, name)
	})
	if err != nil {
		return nil, err
	}
	return n, eachGoFile(root, func(f sourceFile) {
		pkg := f.Name.Name
		if n.packages[pkg] == nil {
			n.packages[pkg] = map[string]bool{}
		}
		for _, d := range f.Decls {
			n.declare(pkg, d)
		}
		ast.Inspect(f.File, func(node ast.Node) bool {
			switch x := node.(type) {
			case *ast.Ident:
				n.words[x.Name] = true
			case *ast.BasicLit:
				if s, err := strconv.Unquote(x.Value); x.Kind == token.STRING && err == nil {
					n.strings[s] = true
				}
			}
			return true
		})
	})
}

// otherFile collects names in files of other languages than Go.
func (n *names) otherFile(root fs.FS, name string) error {
	var into map[string]bool
	var names *regexp.Regexp
	switch base := path.Base(name); {
	case base == "Makefile":
		names, into = targetName, n.make
	case slices.Contains([]string{".c", ".h", ".py", ".sh", ".js"}, path.Ext(base)):
		names, into = optionName, n.strings
	case base != ".gitignore":
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if names == nil {
		for line := range strings.Lines(string(text)) {
			n.made = append(n.made, strings.Trim(line, "/\n"))
		}
		return err
	}
	for _, m := range names.FindAllSubmatch(text, -1) {
		into[string(m[1])] = true
	}
	return err
}

// declare adds what a declaration at the top of a file declares.
func (n *names) declare(pkg string, d ast.Decl) {
	add := func(name string) { n.packages[pkg][name] = true }
	member := func(of, name string) {
		add(of + "." + name)
		n.types[of+"."+name] = true
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if of := receiver(d); of != "" {
			member(of, d.Name.Name)
		} else {
			add(d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, id := range s.Names {
					add(id.Name)
				}
			case *ast.TypeSpec:
				add(s.Name.Name)
				n.types[s.Name.Name] = true
				for _, name := range members(s.Type) {
					member(s.Name.Name, name)
				}
			}
		}
	}
}

// members are the fields of a struct, or the methods of an interface. An embedded type is a
// member by its own name, and "*" stands for what it brings along.
func members(t ast.Expr) (all []string) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	case *ast.Ident, *ast.SelectorExpr: // type A B, type A = b.B
		return []string{"*"}
	default:
		return nil
	}
	for _, f := range list.List {
		for _, id := range f.Names {
			all = append(all, id.Name)
		}
		if len(f.Names) == 0 {
			all = append(all, "*")
			switch e := f.Type.(type) {
			case *ast.Ident:
				all = append(all, e.Name)
			case *ast.SelectorExpr:
				all = append(all, e.Sel.Name)
			}
		}
	}
	return all
}

var (
	fileName   = regexp.MustCompile(`[\w./*-]*\w\.(go|md|sh|py|toml|conf|svg|json|mod|html|css|golden|com)\b`)
	chainName  = regexp.MustCompile(`\b[A-Za-z_]\w*(\.[A-Za-z_]\w*)+`)
	fieldName  = regexp.MustCompile(`\b([a-z]\w*)\.([A-Z]\w*)\{([A-Z]\w*):`)
	flagName   = regexp.MustCompile(`(?:^|[\s(])--([a-z][a-z0-9-]+)`)
	envName    = regexp.MustCompile(`\bPERCH_[A-Z_]*[A-Z]\b`)
	makeName   = regexp.MustCompile(`\bmake (?:-C \S+ )?((?:[A-Z]+=\S+ )*)([a-z][a-z-]*)`)
	testName   = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark|Example)[A-Z]\w*`)
	pathName   = regexp.MustCompile(`(?:^|[\s(])(?:\./)?([a-z][\w-]*(?:/[\w.*-]+)+/?)`)
	camelName  = regexp.MustCompile(`^[A-Za-z]*[a-z][A-Z]\w*$`)
	example    = regexp.MustCompile(`(?m)^//\t.*$`)
	smallCamel = regexp.MustCompile(`\b[a-z]+[A-Z]\w*`)
	docLink    = regexp.MustCompile(`\[\*?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\]`)
	targetName = regexp.MustCompile(`(?m)^([a-z-]+):`)
	optionName = regexp.MustCompile(`(?:--|")([a-z][a-z-]+)\b`)
	markLink   = regexp.MustCompile(`\]\(([^)\s#]+)[^)\s]*\)`)
	codeSpan   = regexp.MustCompile("`([^`]+)`")
)

// hasFile reports whether a file or directory of this name exists: by its path from the root or
// from the directory that speaks of it, or by the end of its path.
func (n *names) hasFile(from, name string) bool {
	name = strings.TrimPrefix(name, "./")
	for _, made := range n.made {
		if made != "" && (name == made || strings.HasPrefix(name, made+"/") || path.Base(name) == made) {
			return true
		}
	}
	if n.files[name] || n.files[name+"/"] || n.files[path.Join(from, name)] || n.files[path.Join(from, name)+"/"] {
		return true
	}
	for file := range n.files {
		if strings.HasSuffix(file, "/"+name) || strings.HasSuffix(file, "/"+name+"/") {
			return true
		}
		if strings.Contains(name, "*") {
			if ok, _ := path.Match(name, file); ok {
				return true
			}
			if ok, _ := path.Match(name, path.Base(file)); ok {
				return true
			}
		}
	}
	return false
}

// unknown returns why a chain of names, as "room.Room.Publish" or "Config.TLS", is not true, or "".
// A chain that begins with neither a package nor a type of ours is somebody else's. Types that
// are not exported are those of the package that speaks, or of any if it is "".
func (n *names) unknown(speaks, chain string) string {
	parts := strings.Split(chain, ".")
	why := ""
	if p, ok := n.packages[parts[0]]; ok && token.IsExported(parts[1]) {
		if p[parts[1]] {
			return has(p, parts[1:])
		}
		why = "package " + parts[0] + " has no " + parts[1]
	}
	in := n.types
	if speaks != "" && !token.IsExported(parts[0]) {
		in = n.packages[speaks]
	}
	if n.types[parts[0]] && in[parts[0]] {
		return has(in, parts)
	}
	return why
}

// has returns why the first of parts, a type, has no member of the second name, or "".
func has(in map[string]bool, parts []string) string {
	if len(parts) < 2 || in[parts[0]+"."+parts[1]] || in[parts[0]+".*"] {
		return ""
	}
	return parts[0] + " has no " + parts[1]
}

// notNames are words in documents and comments that look like names of ours and mean something else.
var notNames = []string{
	"CloseEvent",                       // of a browser
	"kB", "memLevel", "viewBox", "xOo", // a unit; of zlib; of SVG; within a key of RFC 6455
	"NAME.go",                         // a file that somebody may add
	"socket.ReadLoop", "socket.close", // of gws; of a browser
}

// document returns what a document names that does not exist.
func (n *names) document(name, text string) (faults []string) {
	dir := path.Dir(name)
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s:%d: ", name, line)+fmt.Sprintf(format, args...))
	}
	code := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			continue
		}
		for _, m := range markLink.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(m[1], "://") && !n.hasFile(dir, m[1]) {
				fault(i+1, "link to %s, which does not exist", m[1])
			}
		}
		spans := []string{line}
		if !code {
			spans = nil
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				spans = append(spans, m[1])
			}
		}
		for _, span := range spans {
			for _, why := range n.span(dir, span) {
				fault(i+1, "%s", why)
			}
		}
	}
	return faults
}

// span returns what a piece of code in a document names that does not exist.
func (n *names) span(dir, span string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, m := range flagName.FindAllStringSubmatch(span, -1) {
		if !n.strings[m[1]] {
			fault("flag --%s does not exist", m[1])
		}
	}
	for _, env := range envName.FindAllString(span, -1) {
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(env, "PERCH_")), "_", "-")
		if !n.strings[key] && !n.strings[env] {
			fault("variable %s does not exist", env)
		}
	}
	for _, m := range makeName.FindAllStringSubmatch(span, -1) {
		if !n.make[m[2]] {
			fault("make %s does not exist", m[2])
		}
	}
	if camelName.MatchString(span) && !testName.MatchString(span) && !n.words[span] && !slices.Contains(notNames, span) {
		fault("nothing is called %s", span)
	}
	rest := span
	for _, m := range pathName.FindAllStringSubmatch(span, -1) {
		rest = strings.Replace(rest, m[1], "", 1)
		first, _, _ := strings.Cut(m[1], "/")
		if (n.files[first+"/"] || n.files[path.Join(dir, first)+"/"]) && first != "bin" && !n.hasFile(dir, strings.TrimSuffix(strings.TrimSuffix(m[1], "/..."), "/")) {
			fault("path %s does not exist", m[1])
		}
	}
	for _, file := range fileName.FindAllString(rest, -1) {
		if path.Ext(file) == ".go" && !n.hasFile(dir, file) && !slices.Contains(notNames, file) {
			fault("file %s does not exist", file)
		}
	}
	rest = fileName.ReplaceAllString(rest, "")
	for _, chain := range chainName.FindAllString(rest, -1) {
		if why := n.unknown("", chain); why != "" && !slices.Contains(notNames, chain) {
			fault("%s: %s", chain, why)
		}
	}
	return append(faults, n.anywhere(span)...)
}

// anywhere returns what a piece of code or a comment names that does not exist, of tests and of fields in literals.
func (n *names) anywhere(text string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, test := range testName.FindAllString(text, -1) {
		if !n.words[test] {
			fault("%s does not exist", test)
		}
	}
	for _, m := range fieldName.FindAllStringSubmatch(text, -1) {
		if p, ok := n.packages[m[1]]; ok && p[m[2]] && !p[m[2]+"."+m[3]] {
			fault("%s.%s has no field %s", m[1], m[2], m[3])
		}
	}
	return faults
}

// comment returns what a comment of a package names that does not exist.
func (n *names) comment(dir, pkg string, text string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	ours := n.packages[strings.TrimSuffix(pkg, "_test")]
	for _, m := range docLink.FindAllStringSubmatch(text, -1) {
		first, rest, _ := strings.Cut(m[1], ".")
		switch {
		case ours[m[1]], n.packages[pkg][m[1]]:
		case n.packages[first] != nil && rest != "" && !token.IsExported(first):
			if why := n.unknown(pkg, m[1]); why != "" {
				fault("[%s]: %s", m[1], why)
			}
		case token.IsExported(first) && (rest == "" || ours[first]):
			if !ours[first+".*"] {
				fault("[%s]: package %s has no such name", m[1], pkg)
			}
		}
	}
	for _, file := range fileName.FindAllString(text, -1) {
		if ext := path.Ext(file); (ext == ".go" || ext == ".md") && !n.hasFile(dir, file) && !slices.Contains(notNames, file) {
			fault("file %s does not exist", file)
		}
	}
	rest := fileName.ReplaceAllString(docLink.ReplaceAllString(text, ""), "")
	for _, word := range smallCamel.FindAllString(chainName.ReplaceAllString(example.ReplaceAllString(rest, ""), ""), -1) {
		if !n.words[word] && !n.strings[word] && !slices.Contains(notNames, word) {
			fault("nothing is called %s", word)
		}
	}
	for _, chain := range chainName.FindAllString(rest, -1) {
		if why := n.unknown(pkg, chain); why != "" {
			fault("%s: %s", chain, why)
		}
	}
	return append(faults, n.anywhere(text)...)
}

// untrue returns the names in documents and comments under root that nothing has.
func untrue(root fs.FS) (faults []string, err error) {
	n, err := survey(root)
	if err != nil {
		return nil, err
	}
	err = eachDocument(root, func(name, text string) {
		if name != "CHANGELOG.md" { // it speaks of what was
			faults = append(faults, n.document(name, text)...)
		}
	})
	if err != nil {
		return nil, err
	}
	err = eachGoFile(root, func(f sourceFile) {
		faults = append(faults, misnamed(f)...)
		for _, group := range f.Comments {
			for _, c := range group.List {
				for _, why := range n.comment(f.dir, f.Name.Name, c.Text) {
					faults = append(faults, fmt.Sprintf("%s: %s", f.fset.Position(c.Pos()), why))
				}
			}
		}
	})
	slices.Sort(faults)
	return slices.Compact(faults), err
}

// misnamed returns the doc comments of a file that begin with the name of what they describe, but
// not in capitals as it is.
func misnamed(f sourceFile) (faults []string) {
	check := func(doc *ast.CommentGroup, id *ast.Ident) {
		if doc == nil {
			return
		}
		first, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(doc.List[0].Text, "//")), " ")
		if first = strings.TrimRight(first, ":,."); id.IsExported() && !token.IsExported(first) && strings.EqualFold(first, id.Name) {
			faults = append(faults, fmt.Sprintf("%s: %s is called %s", f.fset.Position(doc.Pos()), id.Name, first))
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			check(d.Doc, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					check(cmp.Or(s.Doc, d.Doc), s.Name)
				case *ast.ValueSpec:
					check(cmp.Or(s.Doc, d.Doc), s.Names[0])
				}
			}
		}
	}
	return faults
}

// TestLayoutNames finds names of files, packages, functions, fields, flags, tests and targets
// in documents and comments that do not exist.
func TestLayoutNames(t *testing.T) {
	faults, err := untrue(os.DirFS("."))
	reportFaults(t, faults, err)
}

// TestLayoutNamesFinds plants names that do not exist, each beside one that does.
func TestLayoutNamesFinds(t *testing.T) {
	const engine = "package perch\n\n// Config is what a server is told.\ntype Config struct{ MaxOutput int }\n\nfunc TestIt() {}\n\ntype loop struct{ dirty int }\n"
	for _, tt := range []struct {
		name, file, text string
		want             string // part of the one fault; "" means none
	}{
		{"file", "a.md", "`perch.go` and `poll.go`", "file poll.go"},
		{"file of a folder", "a.md", "`room/room.go` and `room/rooms.go`", "path room/rooms.go"},
		{"file that is built", "a.md", "`bench/report/index.html`", ""},
		{"link", "a.md", "[that](room/room.go) and [this](room/other.md), not [there](https://example.com/x)", "link to room/other.md"},
		{"package", "a.md", "`room.Room` and `room.Rooms`", "package room has no Rooms"},
		{"somebody else's package", "a.md", "`http.Handlers`", ""},
		{"field", "a.md", "`perch.Config.MaxOutput`, `Config.MaxOutputs`", "Config has no MaxOutputs"},
		{"field in a literal", "a.md", "`perch.Config{MaxOutput: 1}` and `perch.Config{Output: 1}`", "has no field Output"},
		{"method", "a.md", "`Room.Publish` and `Room.Send`", "Room has no Send"},
		{"flag", "a.md", "`perchd --max-output 1 --max-input 1`", "flag --max-input"},
		{"variable", "a.md", "`PERCH_MAX_OUTPUT` and `PERCH_MAX_INPUT`", "variable PERCH_MAX_INPUT"},
		{"target", "a.md", "`make test`, `make tests`", "make tests"},
		{"test", "a.md", "`TestIt` and `TestThat`", "TestThat"},
		{"word", "a.md", "`maxOutput` and `flushAll`", "nothing is called flushAll"},
		{"in code", "a.md", "```\nroom.Rooms\n```", "package room has no Rooms"},
		{"outside of code", "a.md", "rooms.Rooms, poll.go and --max-input are words here", ""},
		{"the log of changes", "CHANGELOG.md", "`poll.go`", ""},
		{"comment: link", "b.go", "package perch\n\n// [Config] and [Configs] and [room.Room]\n", "[Configs]"},
		{"comment: link to a package", "b.go", "package perch\n\n// [room.Rooms]\n", "[room.Rooms]"},
		{"comment: file", "b.go", "package perch\n\n// See perch.go and poll.go.\n", "file poll.go"},
		{"comment: field", "b.go", "package perch\n\n// loop.dirty and loop.ready\n", "loop has no ready"},
		{"comment: field of another package's type", "room/b.go", "package room\n\n// loop.ready\n", ""},
		{"comment: word", "b.go", "package perch\n\n// maxOutput and flushAll\n", "nothing is called flushAll"},
		{"comment: example", "b.go", "package perch\n\n//\tnewToken := f()\n", ""},
		{"comment: test", "b.go", "package perch\n\n// TestIt and TestThat\n", "TestThat"},
		{"comment: its own name", "b.go", "package perch\n\n// start is it.\nfunc Start() {}\n", "Start is called start"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			faults, err := untrue(fstest.MapFS{
				tt.file:         {Data: []byte(tt.text)},
				"perch.go":      {Data: []byte(engine + "var maxOutput = \"max-output\"\n")},
				"room/room.go":  {Data: []byte("package room\n\ntype Room struct{}\n\nfunc (Room) Publish() {}\n")},
				"bench/bench.c": {Data: []byte("")},
				"Makefile":      {Data: []byte("test: ## all\n")},
				".gitignore":    {Data: []byte("/bench/report/\n")},
			})
			expectFaults(t, faults, err, tt.want)
		})
	}
}
