package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "vetting/"

// rooms says what each room may import besides the standard library and itself:
// other rooms by name, outside modules by path. A package lives in the room with
// the longest matching name.
var rooms = map[string][]string{
	"core":               {},
	"core/signal":        {},
	"core/engine":        {"core", "core/signal"},
	"firmware":           {"core"},
	"firmware/inventory": {"core", "golang.org/x/sys", "github.com/u-root/u-root"},
	"netboot": {
		"core", "github.com/insomniacslk/dhcp", "github.com/pin/tftp/v3", "github.com/mdlayher/wol", "github.com/mdlayher/packet",
		"github.com/valyala/fasthttp", "github.com/vishvananda/netlink", "github.com/u-root/u-root/pkg/cpio", "github.com/u-root/mkuimage/cpio",
		"github.com/bougou/go-ipmi", "github.com/stmcginnis/gofish",
		"golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/time",
	},
	// A machine and a network to try the boot services on, for the command line; the lab takes the emulator's terms from it.
	"netboot/trial": {"core", "netboot", "github.com/insomniacslk/dhcp", "github.com/vishvananda/netlink", "golang.org/x/sys"},
	"initramfs":     {},
	// Images of boot media are made by the appliance's own program, without tools.
	"initramfs/stick": {},
	// Overlays are taken apart and written anew by the appliance's own program.
	"initramfs/overlay": {"core", "initramfs", "github.com/klauspost/compress", "github.com/therootcompany/xz"},
	// The builder runs on the build machine only; nothing of it is linked into the appliance.
	"initramfs/build": {
		"initramfs", "github.com/u-root/u-root", "github.com/u-root/mkuimage", "github.com/u-root/gobusybox", "github.com/u-root/uio",
		"github.com/klauspost/compress", "github.com/therootcompany/xz", "golang.org/x/sync",
	},
	"agent": {
		"core", "agent/blockdev", "agent/partner", "agent/wire", "firmware/inventory", "golang.org/x/sys", "golang.org/x/sync", "golang.org/x/term", "github.com/u-root/u-root",
		"github.com/insomniacslk/dhcp", "github.com/vishvananda/netlink", "github.com/safchain/ethtool", "github.com/jaypipes/pcidb",
		"github.com/bougou/go-ipmi",
		"golang.org/x/crypto", "github.com/klauspost/compress", // round trips are work for CPUs
	},
	"agent/wire": {},
	// The one way to open a disk for writing; the appliance's own program writes sticks through it.
	"agent/blockdev": {"core", "agent", "golang.org/x/sys"},
	// The recorded machines that tests of all rooms run over; no room may link them.
	"agent/machines": {"agent", "github.com/google/go-cmp"},
	// A pretend host: it speaks as our agent does, and the tests, the load and the demo play it.
	"agent/simhost": {"core", "agent", "agent/wire"},
	"agent/gate":    {"core", "agent/wire", "golang.org/x/crypto", "golang.org/x/time"},
	"agent/partner": {"core", "agent/wire", "golang.org/x/sys"}, // the appliance's, and a machine's that another one measures
	"store":         {"core", "github.com/dgraph-io/badger/v4", "golang.org/x/sys"},
	"ui": {
		"core", "core/signal", "github.com/gofiber/fiber/v2", "github.com/valyala/fasthttp", "github.com/fasthttp/websocket", "github.com/a-h/templ", "github.com/nicholas-fedor/shoutrrr",
		"golang.org/x/crypto", "golang.org/x/sync", "github.com/boombuler/barcode",
		"github.com/coreos/go-oidc/v3", "golang.org/x/oauth2", // ui/oidc: what a provider says is proved by code that many use
	},
	// A real browser, for tests of pages; no program links it.
	"ui/browser": {"github.com/chromedp/chromedp", "github.com/chromedp/cdproto"},
	"cmd/vetting": {
		"core", "core/engine", "core/signal", "netboot", "netboot/trial", "initramfs", "initramfs/overlay", "initramfs/stick", "agent/blockdev", "agent/gate", "agent/partner", "agent/wire", "agent/simhost", "store", "ui",
		"cmd/client", "firmware", "docs",
		"golang.org/x/sync", "golang.org/x/sys", "github.com/goccy/go-yaml", "github.com/spf13/cobra", "github.com/spf13/pflag",
		"golang.org/x/term", // asks for a password without showing it
	},
	"cmd/vetting-agent": {"core", "agent", "agent/partner", "agent/wire", "firmware/inventory"},
	// Packages of the built program: only what it installs, too.
	"cmd/vetting-package": {"cmd/vetting"},
	// The pages of the documentation, for the program to show: a reader of Markdown that is kept well and writes no raw HTML.
	"docs": {"github.com/yuin/goldmark"},
	// The public API from outside: one client for the command line and the lab.
	"cmd/client": {"core", "github.com/fasthttp/websocket"}, // the serial console of a host is a web socket
	// The lab starts virtual hosts around the appliance; it is no part of it.
	"cmd/vetting-lab": {
		"core", "cmd/client", "agent", "agent/wire", "netboot/trial", "github.com/u-root/u-root", // its load speaks as our agent does
		"netboot", // its boot HTTP server is measured over the loopback device, where the appliance hears nobody
		"github.com/vishvananda/netlink", "github.com/vishvananda/netns", "github.com/spf13/cobra",
		"golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/term",
	},
	// An agent that a stranger wrote from the contract: a door to anything of ours would make it ours.
	"cmd/vetting-lab/foreign": {},
}

// quiet rooms do no I/O: they may not import these, and here is what to do instead.
var (
	quiet    = []string{"core", "core/signal", "core/engine", "agent/wire", "firmware"}
	quietBan = map[string]string{
		"net": "take an address type of core", "net/http": "take an interface", "os": "take a value", "os/exec": "take an interface",
		"syscall": "take a value", "log": "return an error", "crypto/rand": "take an io.Reader", "math/rand/v2": "take a source",
	}
)

func TestRooms(t *testing.T) {
	imports := importsByPackage(t, os.DirFS("../.."))

	lived := map[string]bool{}

	for pkg, imps := range imports {
		room := roomOf(pkg)
		if room == "" {
			t.Errorf("%s is in no room; give it one", pkg)
		}

		lived[room] = true

		for _, imp := range imps {
			if why := refuse(room, imp); why != "" {
				t.Errorf("%s must not import %s: %s", pkg, imp, why)
			}
		}
	}

	for room := range rooms {
		if !lived[room] {
			t.Errorf("room %s is empty; strike it", room)
		}
	}
}

// The console's engine stays between what it was tried with: Fiber v2 has tests of its own that
// fail beside a fasthttp of 1.70 or later, and asks by itself for one that buffers streams.
func TestTheEngineOfTheConsoleIsTheOneThatWasTried(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"github.com/gofiber/fiber/v2 v2.52.", "github.com/valyala/fasthttp v1.68."} {
		if !strings.Contains(string(text), "\t"+want) {
			t.Errorf("go.mod does not ask for %s: try the streams of the console under what it asks for, and Fiber's own tests, before this test is changed", want)
		}
	}
}

func refuse(room, imp string) (why string) {
	own, isOurs := strings.CutPrefix(imp, module)
	isStd := !strings.Contains(strings.Split(imp, "/")[0], ".")

	switch {
	case isOurs && roomOf(own) != room && !slices.Contains(rooms[room], roomOf(own)):
		return room + " has no door to " + roomOf(own)
	case isStd && slices.Contains(quiet, room):
		return quietBan[imp]
	case !isOurs && !isStd && !slices.ContainsFunc(rooms[room], func(m string) bool { return under(imp, m) }):
		return "outside module not on the list of " + room
	default:
		return ""
	}
}

func roomOf(pkg string) (room string) {
	for r := range rooms {
		if under(pkg, r) && len(r) > len(room) {
			room = r
		}
	}

	return room
}

func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// importsByPackage reads the files itself rather than asking the go command, so
// that the test cache notices every change and files behind build tags count.
func importsByPackage(t *testing.T, root fs.FS) map[string][]string {
	t.Helper()

	all := map[string][]string{}

	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}

		imps, err := importsOf(root, name)
		all[path.Dir(name)] = append(all[path.Dir(name)], imps...)

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return all
}

func importsOf(root fs.FS, name string) (imps []string, err error) {
	src, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}

	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}

	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}

		imps = append(imps, imp)
	}

	return imps, nil
}
