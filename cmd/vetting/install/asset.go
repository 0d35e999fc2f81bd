package install

import (
	_ "embed" // the files that are printed and installed
	"strings"
)

//go:embed vetting.service
var unit string //nolint:gochecknoglobals // embed needs one; nothing writes it

//go:embed sysusers.conf
var sysusers string //nolint:gochecknoglobals // as above

//go:embed Containerfile
var containerfile string //nolint:gochecknoglobals // as above

//go:embed compose.yaml
var compose string //nolint:gochecknoglobals // as above

// Where things lie. A package has its own folders; what a person installs by hand
// goes where the file hierarchy standard has it (/usr/local, /etc).
const (
	ConfigPath     = "/etc/vetting/vetting.yaml"
	PackageProgram = "/usr/bin/vetting"
	PackageUnit    = "/usr/lib/systemd/system/vetting.service"
	PackageAccount = "/usr/lib/sysusers.d/vetting.conf"

	ownProgram = "/usr/local/bin/vetting"
	ownUnit    = "/etc/systemd/system/vetting.service"
	ownAccount = "/etc/sysusers.d/vetting.conf"

	// Account is the user and the group that the appliance runs as.
	Account = "vetting"
	service = "vetting.service"
)

// Unit returns the systemd unit that starts the program at a path. It is the
// strictest under which the appliance still serves: what each line is for stands
// in it.
func Unit(program string) string { return strings.ReplaceAll(unit, "@PROGRAM@", program) }

// Sysusers returns what systemd-sysusers makes the account from.
func Sysusers() string { return sysusers }

// Containerfile returns how an image is built of the static binary.
func Containerfile() string { return containerfile }

// Compose returns how a container of it is run, for docker compose and podman compose.
func Compose() string { return compose }
