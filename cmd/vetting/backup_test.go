package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
	"vetting/store/backup"
)

// A machine that an appliance's backup is restored on goes on as that appliance: with
// its hosts, its runs under way, its people and the key that agents pin.
func TestAnotherMachineTakesThePlaceOfTheAppliance(t *testing.T) {
	t.Parallel()

	first, second := t.TempDir(), filepath.Join(t.TempDir(), "new")
	a := deskAppliance(t, first, nil)
	token, people := operatorOf(t, a)

	var run route.Run

	for _, call := range []client.Request{
		{Route: "hosts.create", Body: route.HostCreate{MAC: "52:54:00:00:00:07", Name: "rack7"}},
		{Route: "hosts.start", Params: []string{"52:54:00:00:00:07"}, Body: route.RunStart{Profile: "quick"}},
	} {
		if err := people.Call(t.Context(), call, &run); err != nil {
			t.Fatal(err)
		}
	}

	// While the first one runs: over its socket, as root or its own user does it.
	file := filepath.Join(t.TempDir(), "a.backup")

	made, err := keepBackup(t.Context(), file, func(w io.Writer) error { return takeBackup(t.Context(), &a.config, true, w) })
	if err != nil || !made.Keys || made.Appliance != a.about.ID {
		t.Fatalf("taking it, or reading it again: %+v, %v", made, err)
	}

	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()

	if _, err := restoreBackup(t.Context(), in, second); err != nil {
		t.Fatalf("restoring it: %v", err)
	}

	b := deskAppliance(t, second, nil)
	if b.about.ID != a.about.ID || string(b.gate.get().Certificate[0]) != string(a.gate.get().Certificate[0]) {
		t.Error("the second is another appliance")
	}

	// The token that the first one gave opens the second one, whose certificate is the same.
	again, err := client.New(b.ui.URL(), token, filepath.Join(first, consoleKey+".crt"))
	if err != nil {
		t.Fatal(err)
	}

	var there route.Run
	if err := again.Call(t.Context(), client.Request{Route: "runs.get", Params: []string{string(run.ID)}}, &there); err != nil || there.Host != run.Host {
		t.Errorf("%+v, %v", there, err)
	}

	if err := again.Call(t.Context(), client.Request{Route: "runs.cancel", Params: []string{string(run.ID)}}, &there); err != nil || there.State != core.StateCancelled {
		t.Errorf("the run does not go on: %+v, %v", there.State, err)
	}

	var trail route.AuditList
	if err := again.Call(t.Context(), client.Request{Route: "audit.list"}, &trail); err != nil || !strings.Contains(trailOf(trail), "backup.create") {
		t.Errorf("the backup is not in the audit trail: %s, %v", trailOf(trail), err)
	}

	// Not under an appliance that runs, and not over its data.
	if _, err := restoreBackup(t.Context(), in, first); err == nil || !strings.Contains(err.Error(), "runs on") {
		t.Errorf("restored under a running appliance: %v", err)
	}
}

func operatorOf(t *testing.T, a *appliance) (token string, people *client.Client) {
	t.Helper()

	token, err := a.ui.CreateToken(t.Context(), "op", "admin")
	if err != nil {
		t.Fatal(err)
	}

	people, err = client.New(a.ui.URL(), token, filepath.Join(a.config.DataDir, consoleKey+".crt"))
	if err != nil {
		t.Fatal(err)
	}

	return token, people
}

func trailOf(list route.AuditList) (all string) {
	for _, e := range list.Entries {
		all += e.Action + " "
	}

	return all
}

// Backups that a clock made which was years ahead are older than they say: they go first,
// and do not stand for ever in the place of what is made since.
func TestBackupsOfAClockThatWasAheadGoFirst(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	plan := BackupConfig{Dir: t.TempDir(), Interval: Duration(time.Hour), Keep: 3}
	now := time.Now().Truncate(time.Second)

	for _, at := range []time.Duration{-5 * time.Hour, 87600 * time.Hour, 87601 * time.Hour, -3 * time.Hour, -2 * time.Hour, -time.Hour} {
		if _, err := a.backUpTo(t.Context(), plan, now.Add(at)); err != nil {
			t.Fatal(err)
		}
	}

	var have []time.Duration

	for _, name := range backupsIn(plan.Dir) {
		at, _ := madeAt(name)
		have = append(have, at.Sub(now))
	}

	if want := []time.Duration{-3 * time.Hour, -2 * time.Hour, -time.Hour}; !slices.Equal(have, want) {
		t.Errorf("kept those of %v, want %v", have, want)
	}
}

// By itself the appliance makes a backup when one is due, and keeps as many as it was
// told; one that cannot be made is told to everybody who looks.
func TestBackupsAreMadeAndRemoved(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	plan := BackupConfig{Dir: t.TempDir(), Interval: Duration(time.Hour), Keep: 2}
	start := time.Now().Add(-5 * time.Hour).Truncate(time.Second)

	if next := nextBackup(plan, backupsIn(plan.Dir)); !next.IsZero() {
		t.Errorf("the first is due at %s", next)
	}

	for n := range 4 {
		if _, err := a.backUpTo(t.Context(), plan, start.Add(time.Duration(n)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}

	have := backupsIn(plan.Dir)
	if len(have) != 2 {
		t.Fatalf("kept %v", have)
	}

	if next := nextBackup(plan, have); !next.Equal(start.Add(4 * time.Hour)) {
		t.Errorf("the next is due at %s, not %s", next, start.Add(4*time.Hour))
	}

	file, err := os.Open(have[1])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	if s, err := backup.Verify(t.Context(), file); err != nil || s.Keys {
		t.Errorf("%+v, %v", s, err)
	}

	plan.Dir = filepath.Join(plan.Dir, "gone")
	if _, err := a.backUpTo(t.Context(), plan, start); err == nil {
		t.Error("made in a folder that is not there")
	}

	// A clock that was ahead once must not hold backups back for years, nor have them
	// made without a pause.
	if next := nextBackup(plan, []string{"vetting-20990101T000000Z.backup"}); !next.IsZero() {
		t.Errorf("after a jump of the clock the next is due at %s", next)
	}

	if next := nextBackup(plan, append(have, "vetting-20990101T000000Z.backup")); !next.Equal(start.Add(4 * time.Hour)) {
		t.Errorf("beside one of the future the next is due at %s", next)
	}
}

// What people put into the folder is never removed, and says nothing of when the next is due.
func TestBackupsOfPeopleStay(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	a := deskAppliance(t, t.TempDir(), nil)
	plan := BackupConfig{Dir: dir, Interval: Duration(time.Hour), Keep: 1}
	start := time.Now().Add(-10 * time.Hour).UTC().Truncate(time.Second)
	theirs := []string{"vetting-2020-11-01.backup", "vetting-before-upgrade.backup", "vetting-20991301T000000Z.backup"}

	for _, name := range append(theirs, "vetting-20990101T000000Z.backup") {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	path, err := a.backUpTo(t.Context(), plan, start)
	if err != nil {
		t.Fatal(err)
	}

	for _, name := range append(theirs, filepath.Base(path)) {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}

	if have := backupsIn(dir); len(have) != 1 || have[0] != path {
		t.Errorf("the appliance's own are %v", have)
	}

	if next := nextBackup(plan, backupsIn(dir)); !next.Equal(start.Add(time.Hour)) {
		t.Errorf("the next is due at %s", next)
	}
}

// An appliance that breaks off has no other process look at its ledger instead.
func TestABackupThatIsBrokenOffIsTold(t *testing.T) {
	t.Parallel()

	config := Defaults()
	config.DataDir = t.TempDir()

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(config.DataDir, controlSocket))
	if err != nil {
		t.Fatal(err)
	}

	fault := make(chan func(http.ResponseWriter), 2)
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { (<-fault)(w) })}

	go func() { _ = server.Serve(listener) }()

	defer func() { _ = server.Close() }()

	for want, do := range map[string]func(http.ResponseWriter){
		"broke off":                          func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"writes no backup: 404 Not Found":    func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"writes no backup: 500 Internal Ser": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		fault <- do

		if err := takeBackup(t.Context(), &config, false, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// Whoever takes a backup of the moment away, and lets it wait, keeps none from being made.
func TestASlowDownloadKeepsNoBackupFromBeingMade(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	a.config.Backup = BackupConfig{Dir: t.TempDir(), Interval: Duration(time.Hour), Keep: 2}

	write, err := vault{a}.Begin(false, "op")
	if err != nil {
		t.Fatal(err)
	}

	from, into := io.Pipe() // nobody reads yet
	sent := make(chan error, 1)

	go func() { sent <- errors.Join(write(t.Context(), into), into.Close()) }()

	if _, err := (vault{a}).Make(t.Context(), "op"); err != nil {
		t.Error(err)
	}

	if s, err := backup.Verify(t.Context(), from); err != nil || s.Appliance != a.about.ID {
		t.Errorf("%+v, %v", s, err)
	}

	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Of a backup during which the appliance was killed nothing stays, but what people left.
func TestHalfABackupIsRemovedAtTheNextStart(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	mine := filepath.Join(dir, "vetting-20261130T060000Z.backup.part")
	theirs := []string{filepath.Join(dir, "vetting-mine.backup.part"), filepath.Join(dir, "vetting-20261129T060000Z.backup")}

	for _, path := range append(theirs, mine) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	deskAppliance(t, t.TempDir(), func(a *appliance) {
		a.config.Backup = BackupConfig{Dir: dir, Interval: Duration(24 * time.Hour), Keep: 2}
	})

	for _, err := os.Stat(mine); err == nil; _, err = os.Stat(mine) {
		if t.Context().Err() != nil {
			t.Fatal("it is still there")
		}

		time.Sleep(time.Millisecond)
	}

	for _, path := range theirs {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAnUnavailableFolderIsTold(t *testing.T) {
	t.Parallel()

	a := deskAppliance(t, t.TempDir(), nil)
	a.config.Backup = BackupConfig{Dir: "/nowhere/at/all", Interval: Duration(time.Hour), Keep: 1}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- a.keepBackups(ctx) }()

	for len(a.warnings.list()) == 0 {
		time.Sleep(time.Millisecond)
	}

	cancel()

	if err := <-ended; err != nil || !strings.Contains(a.warnings.list()[0].Text, "could not be made") {
		t.Errorf("%v %v", a.warnings.list(), err)
	}
}

func download(t *testing.T, people *client.Client, call client.Request, into io.Writer) error {
	t.Helper()

	body, err := people.Stream(t.Context(), call)
	if err != nil {
		return err
	}

	_, err = io.Copy(into, body)

	return errors.Join(err, body.Close())
}

// People get backups over the API: made in the folder, read again, downloaded, or of this
// very moment. One is under way at a time, and every one stands in the audit trail.
func TestBackupsOverTheAPI(t *testing.T) {
	t.Parallel()

	folder := t.TempDir()

	// With one that is as good as new, none is due meanwhile.
	earlier := backupPrefix + time.Now().UTC().Add(-time.Hour).Format(backupTime) + backupSuffix
	if err := os.WriteFile(filepath.Join(folder, earlier), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	a := deskAppliance(t, t.TempDir(), func(a *appliance) {
		a.config.Backup = BackupConfig{Dir: folder, Interval: Duration(24 * time.Hour), Keep: 2}
	})
	_, people := operatorOf(t, a)

	var made, proof route.BackupProof
	if err := people.Call(t.Context(), client.Request{Route: "backups.create"}, &made); err != nil || made.Appliance != a.about.ID || made.Keys || made.Bytes == 0 {
		t.Fatalf("%+v, %v", made, err)
	}

	var list route.BackupList
	if err := people.Call(t.Context(), client.Request{Route: "backups.list"}, &list); err != nil || len(list.Backups) != 2 || list.Backups[0] != made.Backup ||
		list.Folder != folder || list.Next == nil || !list.Next.Equal(made.Made.Add(24*time.Hour)) {
		t.Errorf("%+v, %v", list, err)
	}

	if err := people.Call(t.Context(), client.Request{Route: "backups.verify", Params: []string{made.Name}}, &proof); err != nil || proof != made {
		t.Errorf("%+v, %v", proof, err)
	}

	for name, call := range map[string]client.Request{
		"kept": {Route: "backups.get", Params: []string{made.Name}}, "now": {Route: "backup.stream"}, "with keys": {Route: "backup.stream", Query: url.Values{"keys": {"true"}}},
	} {
		var file bytes.Buffer

		if err := download(t, people, call, &file); err != nil {
			t.Errorf("%s: %v", name, err)
		}

		if s, err := backup.Verify(t.Context(), &file); err != nil || s.Appliance != a.about.ID || s.Keys != (name == "with keys") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}

	for lock, calls := range map[*sync.Mutex][]client.Request{
		&a.saving:  {{Route: "backups.create"}, {Route: "backups.verify", Params: []string{made.Name}}},
		&a.sending: {{Route: "backup.stream"}},
	} {
		lock.Lock()

		for _, call := range calls {
			if err := download(t, people, call, io.Discard); err == nil || !strings.Contains(err.Error(), "at the moment") {
				t.Errorf("%s beside another one: %v", call.Route, err)
			}
		}

		lock.Unlock()
	}

	// What lies in the folder and was not made by the appliance is nobody's business.
	for _, name := range []string{"mine.backup", "vetting-x.backup", "../" + filepath.Base(folder) + "/" + made.Name} {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)+".txt"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}

		if err := download(t, people, client.Request{Route: "backups.get", Params: []string{name}}, io.Discard); err == nil || !strings.Contains(err.Error(), "no such backup") {
			t.Errorf("%s: %v", name, err)
		}
	}

	path := filepath.Join(folder, made.Name)
	if err := os.Truncate(path, made.Bytes/2); err != nil {
		t.Fatal(err)
	}

	if err := people.Call(t.Context(), client.Request{Route: "backups.verify", Params: []string{made.Name}}, &proof); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("half a file: %v", err)
	}

	var trail route.AuditList
	if err := people.Call(t.Context(), client.Request{Route: "audit.list"}, &trail); err != nil ||
		strings.Count(trailOf(trail), "backup.create") != 3 || strings.Count(trailOf(trail), "backup.download") != 1 {
		t.Errorf("%s, %v", trailOf(trail), err)
	}
}
