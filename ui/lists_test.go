package ui_test

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

// queueAnother has a second run wait behind the one of the scene.
func (b *bench) queueAnother() {
	b.t.Helper()

	const mac, id = core.MAC("52:54:00:00:00:99"), core.RunID("01JD4X00000000000000000099")

	if _, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		var (
			host core.Host
			run  core.Run
		)

		if err := txn.Get(core.TableHost, "52:54:00:00:00:17", &host); err != nil {
			return err
		}

		if err := txn.Get(core.TableRun, string(host.CurrentRun), &run); err != nil {
			return err
		}

		host.MAC, host.Name, host.CurrentRun, host.LastRun = mac, "rack3-u11", id, ""
		run.ID, run.Host, run.HostName = id, mac, host.Name

		return errors.Join(txn.Put(core.TableHost, string(mac), host), txn.Put(core.TableRun, string(id), run))
	}); err != nil {
		b.t.Fatal(err)
	}
}

func TestARunIsMovedInTheQueueWithAWayBack(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.queueAnother()

	auth := "Bearer " + b.token("operate")

	var did []string

	b.commands.OnRun = func(word string, run core.RunID) (core.Run, error) {
		did = append(did, word+" "+string(run))

		return core.Run{}, nil
	}

	page := b.ask("GET", "/runs", "", "Authorization", auth)
	rows := regexp.MustCompile(`(?s)<tr id="run-row-([0-9A-Z]{26})" draggable="true"`).FindAllStringSubmatch(page.body, -1)

	if len(rows) != 2 || !strings.Contains(page.body, `id="queue"`) || strings.Count(page.body, `name="to" value="first"`) != 2 {
		t.Fatalf("%d rows that can be moved", len(rows))
	}

	moved := b.ask("POST", "/runs/"+rows[1][1]+"/move", "to=first", "Authorization", auth, "Sec-Fetch-Site", "same-origin")
	if moved.status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", moved.status, moved.body)
	}

	id := b.undoOf(moved, auth)

	if got := b.ask("POST", "/api/v1/runs/"+rows[1][1]+"/move", `{"to":"up"}`, "Authorization", auth); got.status != http.StatusOK {
		t.Errorf("by the API: %d %s", got.status, got.body)
	}

	if got := b.ask("POST", "/undo/"+id, "", "Authorization", auth, "Sec-Fetch-Site", "same-origin"); got.header.Get("Location") != "/runs?done=undone" {
		t.Errorf("taking it back: %d %s", got.status, got.body)
	}

	if want := []string{"move first  " + rows[1][1], "move up  " + rows[1][1], "move last  " + rows[1][1]}; !slices.Equal(did, want) {
		t.Errorf("did %q", did)
	}

	// Whoever may only look sees the order and moves nothing.
	reader := b.ask("GET", moved.header.Get("Location"), "", "Authorization", "Bearer "+b.token("read"))
	if strings.Contains(reader.body, `name="to"`) || strings.Contains(reader.body, ">Undo<") || strings.Contains(reader.body, "draggable=\"true\"") {
		t.Error("a reader is offered to move runs")
	}
}

func TestTheQueueIsListedInItsOrder(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.queueAnother()

	auth := "Bearer " + b.token("read")
	ids := func() []string {
		return regexp.MustCompile(`"id":"([0-9A-Z]{26})"`).FindAllString(b.ask("GET", "/api/v1/queue", "", "Authorization", auth).body, -1)
	}

	first := ids()
	if len(first) != 2 {
		t.Fatalf("%v", first)
	}

	last := core.RunID(strings.Trim(strings.TrimPrefix(first[1], `"id":`), `"`))
	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		return txn.Put(core.TableSetting, core.QueueKey, core.Queue{Order: []core.RunID{last}})
	}); err != nil {
		t.Fatal(err)
	}

	if now := ids(); len(now) != 2 || now[0] != first[1] || now[1] != first[0] {
		t.Errorf("%v after %v", now, first)
	}
}

func TestAMachineIsIgnoredAndTakenBack(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	var did []string

	b.commands.OnRun = func(word string, _ core.RunID) (core.Run, error) {
		did = append(did, word)

		return core.Run{}, nil
	}

	page := b.ask("GET", "/inbox", "", "Authorization", auth)
	inbox, ignored, found := strings.Cut(page.body, `id="ignored"`)

	if !found || !strings.Contains(inbox, `id="mac-3c:ec:ef:00:17:a2"`) || !strings.Contains(inbox, "Super Micro Computer, Inc.") || strings.Contains(inbox, "00:1b:21:0a:0b:0c") {
		t.Error("the inbox holds the wrong machines")
	}

	if !strings.Contains(ignored, "00:1b:21:0a:0b:0c") || !strings.Contains(ignored, "Intel Corporate") || strings.Contains(ignored, "3c:ec:ef") {
		t.Error("the list of the ignored holds the wrong machines")
	}

	for order, want := range map[string]string{"ignore": "/inbox?done=ignored&undo=" + strings.Repeat("0", 32), "heed": "/inbox?done=heeded"} {
		got := b.ask("POST", "/inbox/3c:ec:ef:00:17:a2/"+order, "", "Authorization", auth, "Sec-Fetch-Site", "same-origin")
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%s: %d to %q", order, got.status, got.header.Get("Location"))
		}
	}

	for path, want := range map[string]string{"/api/v1/discovered": "3c:ec:ef:00:17:a2", "/api/v1/discovered?ignored=true": "00:1b:21:0a:0b:0c"} {
		if got := b.ask("GET", path, "", "Authorization", auth); !strings.Contains(got.body, want) || strings.Contains(got.body, "00:1b:21") != strings.Contains(want, "00:1b:21") {
			t.Errorf("%s: %s", path, got.body)
		}
	}

	slices.Sort(did)

	if want := []string{"heed 3c:ec:ef:00:17:a2", "ignore 3c:ec:ef:00:17:a2"}; !slices.Equal(did, want) {
		t.Errorf("did %q", did)
	}
}

// undoOf is the way back that the page offers to which an answer leads.
func (b *bench) undoOf(got answer, auth string) string {
	b.t.Helper()

	page := b.ask("GET", got.header.Get("Location"), "", "Authorization", auth).body

	found := regexp.MustCompile(`action="/undo/([0-9a-f]{32})"`).FindStringSubmatch(page)
	if found == nil || !strings.Contains(page, ">Undo</button>") {
		b.t.Fatalf("the page at %q offers no way back", got.header.Get("Location"))
	}

	return found[1]
}

// What was changed once more since is not overwritten: the way back says so.
func TestAnIgnoredMachineIsTakenBackOnlyAsItWasIgnored(t *testing.T) {
	t.Parallel()

	const mac = "3c:ec:ef:00:17:a2"

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	form := []string{"Authorization", auth, "Sec-Fetch-Site", "same-origin"}

	var did []string

	b.commands.OnRun = func(word string, _ core.RunID) (core.Run, error) {
		did = append(did, word)

		return core.Run{}, nil
	}

	for name, c := range map[string]struct {
		at   time.Time
		want int
	}{"as it was ignored": {canned.Now(), http.StatusSeeOther}, "ignored anew": {canned.Now().Add(time.Minute), http.StatusConflict}} {
		did = nil
		id := b.undoOf(b.ask("POST", "/inbox/"+mac+"/ignore", "", form...), auth)

		if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
			seen := core.Sighting{MAC: mac, IgnoredAt: c.at}

			return txn.Put(core.TableSighting, mac, seen)
		}); err != nil {
			t.Fatal(err)
		}

		got := b.ask("POST", "/undo/"+id, "", form...)
		if got.status != c.want || (len(did) == 2) != (c.want == http.StatusSeeOther) {
			t.Errorf("%s: %d, did %q", name, got.status, did)
		}

		if c.want == http.StatusConflict && !strings.Contains(got.body, "was changed once more since; change it where it stands") {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}

// The tags of several hosts are taken back together, or not at all.
func TestTagsOfSeveralHostsAreTakenBack(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	form := []string{"Authorization", auth, "Sec-Fetch-Site", "same-origin"}
	other := core.MAC(string(canned.Host[:16]) + "2")

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (host core.Host, err error) {
		_, err = b.ledger.Update(t.Context(), func(txn core.Txn) error {
			if err := txn.Get(core.TableHost, string(mac), &host); err != nil {
				return err
			}

			change(&host)

			return txn.Put(core.TableHost, string(mac), host)
		})

		return host, err
	}

	tags := func(mac core.MAC) string {
		host, err := lookupHost(t, b, mac)
		if err != nil {
			t.Fatal(err)
		}

		return strings.Join(host.Tags, " ")
	}

	was := tags(canned.Host) + "/" + tags(other)
	tag := func() string {
		return b.undoOf(b.ask("POST", "/hosts/selected/tags", "add=spare&mac="+string(canned.Host)+"&mac="+string(other), form...), auth)
	}

	id := tag()
	if !strings.Contains(tags(canned.Host), "spare") || !strings.Contains(tags(other), "spare") {
		t.Fatalf("tagged %q and %q", tags(canned.Host), tags(other))
	}

	if got := b.ask("POST", "/undo/"+id, "", form...); got.header.Get("Location") != "/hosts?done=undone" || tags(canned.Host)+"/"+tags(other) != was {
		t.Errorf("taken back: %d, %q and %q", got.status, tags(canned.Host), tags(other))
	}

	id = tag()

	if _, err := b.commands.OnUpdate(other, func(h *core.Host) { h.Tags = []string{"sold"} }); err != nil {
		t.Fatal(err)
	}

	got := b.ask("POST", "/undo/"+id, "", form...)
	if got.status != http.StatusConflict || !strings.Contains(got.body, "rack3-u18 is tagged with was changed once more since") {
		t.Errorf("one was tagged anew: %d %s", got.status, got.body)
	}

	if tags(other) != "sold" || !strings.Contains(tags(canned.Host), "spare") {
		t.Errorf("the refusal has changed tags: %q and %q", tags(canned.Host), tags(other))
	}
}

func lookupHost(t *testing.T, b *bench, mac core.MAC) (host core.Host, err error) {
	t.Helper()

	err = b.ledger.View(t.Context(), func(r core.Reader) (err error) {
		host, err = lookup.Host(r, mac)

		return err
	})

	return host, err
}

// What is looked at stands in the address: it can be passed on, and the way back works.
func TestTheListOfHostsIsAsItsAddressAsks(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	names := regexp.MustCompile(`<td class="who"><a href="[^"]*">([^<]*)</a>`)

	for name, tt := range map[string]struct{ query, want string }{
		"a state":                  {"?state=pass", "rack3-u21"},
		"a model":                  {"?model=HPE+ProLiant+DL380+Gen10", "rack3-u20 rack3-u21"},
		"a rack":                   {"?rack=B07", "rack3-u19"},
		"a tag":                    {"?tag=gpu", "rack3-u19"},
		"words and a model":        {"?q=u20&model=HPE+ProLiant+DL380+Gen10", "rack3-u20"},
		"by model, down":           {"?q=rack3&sort=-model&state=warning", "rack3-u19"},
		"unknown places last":      {"?sort=rack&q=rack3-u1&state=warning", "rack3-u19"},
		"words that are none":      {"?state=glad&sort=mood&cols=mood&q=u20", "rack3-u20"},
		"by name, the last first":  {"?sort=-name&model=HPE+ProLiant+DL380+Gen10", "rack3-u21 rack3-u20"},
		"a model that nobody has":  {"?model=none", ""},
		"by age, the oldest first": {"?sort=-age&q=rack3&model=HPE+ProLiant+DL380+Gen10", "rack3-u21 rack3-u20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var got []string

			page := b.ask("GET", "/hosts"+tt.query, "", "Authorization", auth).body
			for _, m := range names.FindAllStringSubmatch(page, -1) {
				got = append(got, m[1])
			}

			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}

			if tt.want == "" && !strings.Contains(page, `href="/hosts">Clear the filter`) {
				t.Error("nothing clears the filter")
			}
		})
	}

	page := b.ask("GET", "/hosts?cols=ram&cols=cores&sort=ram&q=rack3", "", "Authorization", auth).body
	for _, want := range []string{`aria-sort="ascending"`, "?cols=cores%2Cram&amp;q=rack3&amp;sort=-ram", `id="row-` + string(canned.Host) + `"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestHostsAreExportedAsTheyAreChosen(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	for query, want := range map[string]int{"": 10, "?rack=B07": 2, "?mac=" + string(canned.Host): 2} {
		got := b.ask("GET", "/hosts/list.csv"+query, "", "Authorization", auth)

		rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
		if err != nil || len(rows) != want || rows[0][0] != "name" || !slices.Contains(rows[0], "device_type") {
			t.Errorf("%q: %d rows, %v", query, len(rows), err)
		}
	}

	if got := b.ask("GET", "/hosts/selected/labels?mac="+string(canned.Host), "", "Authorization", auth); got.status != http.StatusSeeOther || got.header.Get("Location") != "/labels?ids="+string(canned.Run)+"&sheet=1" {
		t.Errorf("labels: %d to %q", got.status, got.header.Get("Location"))
	}
}

// A cell of the matrix leads to its stage on the page of the run, and what a run that is
// over did not get to is told from what still waits.
func TestTheCellsOfABatchLeadToTheirStages(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")
	page := b.ask("GET", "/batches/"+canned.BatchName, "", "Authorization", auth).body

	links := regexp.MustCompile(`href="(/runs/[0-9A-Z]+)#(stage-[0-9]+)" title="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 20 {
		t.Fatalf("%d cells", len(links))
	}

	runs, words := map[string]string{}, map[string]bool{}

	for _, link := range links {
		if runs[link[1]] == "" {
			runs[link[1]] = b.ask("GET", link[1], "", "Authorization", auth).body
		}

		_, name, _ := strings.Cut(link[3], ", ")
		name, word, _ := strings.Cut(name, ": ")
		words[word] = true

		stage := regexp.MustCompile(`<li id="` + link[2] + `"[^>]*>(?s:.*?)</li>`).FindString(runs[link[1]])
		if !strings.Contains(stage, name) {
			t.Errorf("%s of %s leads to %q", link[2], link[3], stage)
		}
	}

	if !words["Waiting"] || !words["Not run"] {
		t.Errorf("the cells say %v", words)
	}
}

func TestABatchIsOnePageOneTableAndOneArchive(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	page := b.ask("GET", "/batches/"+canned.BatchName, "", "Authorization", auth).body
	for _, want := range []string{
		`id="run-row-` + string(canned.Run) + `"`, `href="/runs/` + string(canned.Run) + `#stage-4"`, `aria-label="rack3-u17, SMART: Running, 62 %, sda: short self-test"`,
		"/api/v1/batch.zip?batch=" + canned.BatchName,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	if list := b.ask("GET", "/batches", "", "Authorization", auth).body; !strings.Contains(list, `href="/batches/`+canned.BatchName+`"`) {
		t.Error("the batch is not listed")
	}

	sum := b.ask("GET", "/api/v1/batches/"+canned.BatchName, "", "Authorization", auth).body
	for _, want := range []string{`"hosts":8`, `"holding":1`, `"queued":1`, `"running":2`} {
		if !strings.Contains(sum, want) {
			t.Errorf("the sum lacks %s", want)
		}
	}

	if got := b.ask("GET", "/batches/none", "", "Authorization", auth); got.status != http.StatusNotFound {
		t.Errorf("no such batch: %d", got.status)
	}

	table, err := csv.NewReader(strings.NewReader(b.ask("GET", "/api/v1/batch.csv?batch="+canned.BatchName, "", "Authorization", auth).body)).ReadAll()
	if err != nil || len(table) != 9 {
		t.Errorf("a table of %d rows: %v", len(table), err)
	}

	packed := b.ask("GET", "/api/v1/batch.zip?batch="+canned.BatchName, "", "Authorization", auth).body

	archive, err := zip.NewReader(strings.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	for _, f := range archive.File {
		names = append(names, f.Name)

		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}

		if text, err := io.ReadAll(in); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", f.Name, len(text), err)
		}
	}

	if len(names) != 3+2*8 || !slices.Contains(names, "reports/rack3-u17-"+string(canned.Run)+".html") {
		t.Errorf("%q", names)
	}
}

// Names of hosts are names of files in no archive as they are.
func TestABatchOfAHostileHostHasHarmlessFiles(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Hostile, nil)
	packed := b.ask("GET", "/api/v1/batch.zip?batch="+canned.BatchName, "", "Authorization", "Bearer "+b.token("read")).body

	archive, err := zip.NewReader(strings.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}

	for _, f := range archive.File {
		if !regexp.MustCompile(`^(reports/[A-Za-z0-9_][A-Za-z0-9._-]*|batch)\.(html|json|csv)$`).MatchString(f.Name) {
			t.Errorf("a file %q", f.Name)
		}
	}
}

func TestWhatIsNotKnownCanBeAdopted(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	for path, want := range map[string]string{
		"/h/3c:ec:ef:00:17:a2": `href="/hosts/new?adopt=1&amp;mac=3c:ec:ef:00:17:a2">Adopt it</a>`,
		"/h/3c-ec-ef-99-99-99": `href="/hosts/new?mac=3c:ec:ef:99:99:99">Add it as a host</a>`,
		"/h/SERIAL-9":          `aria-label="Adopt 3c:ec:ef:00:17:a2"`,
	} {
		if got := b.ask("GET", path, "", "Authorization", auth); got.status != http.StatusNotFound || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d, the page lacks %q", path, got.status, want)
		}
	}

	if got := b.ask("GET", "/h/3c:ec:ef:00:17:a2", "", "Authorization", "Bearer "+b.token("read")); strings.Contains(got.body, "/hosts/new") {
		t.Error("a reader is offered to adopt")
	}
}
