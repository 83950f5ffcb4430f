package handover_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gohandover/handover"

// arrows says which packages of the module each package may import; the map is
// explained in docs/architecture.md. A package that is not listed is an error, so
// that a new one finds its place here.
var arrows = map[string][]string{
	"":                    {"drain", "health", "reuse", "internal/control", "internal/cutover", "internal/generation"},
	"reuse":               {},
	"drain":               {},
	"health":              {},
	"internal/control":    {},
	"internal/load":       {},
	"internal/cutover":    {"reuse", "internal/control"},
	"internal/generation": {"drain", "health", "reuse", "internal/control", "internal/cutover"},
}

// outside says which packages of other modules each package may import, for those
// that users link in whether they want them or not.
var outside = map[string][]string{
	"":                    {},
	"reuse":               {"github.com/libp2p/go-reuseport", "github.com/mdlayher/netlink", "golang.org/x/net/bpf", "golang.org/x/sys/unix"},
	"drain":               {"golang.org/x/sys/unix"},
	"health":              {},
	"internal/control":    {"golang.org/x/sys/unix"},
	"internal/load":       {},
	"internal/cutover":    {},
	"internal/generation": {},
}

// TestArrows holds the map of packages: who may import whom.
func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "bench") {
			continue // the top: may import everything
		}
		inside, ok := arrows[name]
		if !ok {
			t.Errorf("package %q is not on the map: add it to arrows and to docs/architecture.md", name)
			continue
		}
		for _, imp := range p.Imports {
			rel, ours := strings.CutPrefix(imp, module+"/")
			switch {
			case ours && !slices.Contains(inside, rel):
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			case !ours && strings.Contains(imp, ".") && !slices.Contains(outside[name], imp):
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			}
		}
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
