package route

import (
	"time"

	"vetting/core"
)

// QueueList is the runs that wait for their turn, the next first.
type QueueList struct {
	Runs []RunSummary `json:"runs"`
}

// QueueMove says where in the queue a run is to stand.
type QueueMove struct {
	To     core.Place `json:"to"`               // "first", "last", "up", "down" or "before"
	Before core.RunID `json:"before,omitempty"` // with "before": the run that it is to stand before
}

// QueueMoved is the queue after a move. Moving the run before StoodBefore, or last where
// that is absent, undoes it.
type QueueMoved struct {
	Order       []core.RunID `json:"order"`
	StoodBefore core.RunID   `json:"stood_before,omitempty"`
}

// BatchList is a page of batches, the newest first.
type BatchList struct {
	Batches       []Batch `json:"batches"`
	NextPageToken string  `json:"next_page_token,omitempty"`
}

// Batch is runs that are looked at together. Of a host that was vetted again under the
// same name the last run counts.
type Batch struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by,omitempty"`
	Profiles  []string  `json:"profiles"` // of its runs, each once
	Hosts     int       `json:"hosts"`
	Pass      int       `json:"pass"` // with and without warnings
	Fail      int       `json:"fail"` // over, and not held any more; failed or ended with an error
	Holding   int       `json:"holding"`
	Running   int       `json:"running"` // waking and booting too
	Queued    int       `json:"queued"`
	Cancelled int       `json:"cancelled"`
	// Left is how many seconds the last of its runs that go on or wait still takes, as
	// earlier runs tell; absent: none goes on, or it is not known.
	Left float64 `json:"left_s,omitempty"`
}

// BatchRuns is a batch with its runs.
type BatchRuns struct {
	Batch

	Runs []Run `json:"runs"` // the last of each host, by the host's name
}

// Discovered is a machine that was heard and is not registered.
type Discovered struct {
	core.Sighting

	Maker string `json:"maker,omitempty"` // who the address was given to by the IEEE; absent: not known
}

func queueRoutes() []Route {
	return []Route{
		{
			Name: "queue.list", Tag: "runs", Method: "GET", Path: "/api/v1/queue", Scope: Read,
			Summary: "List the runs that wait for their turn, the next first", OK: ok(QueueList{}, "the queue"),
		},
		{
			Name: "runs.move", Tag: "runs", Method: "POST", Path: "/api/v1/runs/{id}/move", Scope: Operate,
			Summary: "Give a run that waits for its turn another place in the queue", ReqType: JSON, Req: QueueMove{},
			OK: ok(QueueMoved{}, "the queue"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "batches.list", Tag: "runs", Method: "GET", Path: "/api/v1/batches", Scope: Read,
			Summary: "List batches, the newest first, with how their hosts stand", Query: paging(), OK: ok(BatchList{}, "a page of batches; a page may be short and still have a next"), Errors: []int{422},
		},
		{
			Name: "batches.get", Tag: "runs", Method: "GET", Path: "/api/v1/batches/{name}", Scope: Read,
			Summary: "Show a batch with the last run of each of its hosts", OK: ok(BatchRuns{}, "the batch"), Errors: []int{404},
		},
	}
}

func ignoreRoutes() []Route {
	const ignore = "/api/v1/discovered/{mac}/ignore"

	return []Route{
		{
			Name: "discovered.ignore", Tag: "hosts", Method: "POST", Path: ignore, Scope: Operate,
			Summary: "Take a machine that was heard out of the inbox, for good or until it is adopted or taken back",
			OK:      ok(core.Sighting{}, "the machine"), Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "discovered.heed", Tag: "hosts", Method: "DELETE", Path: ignore, Scope: Operate,
			Summary: "Take a machine that is ignored back into the inbox", OK: ok(core.Sighting{}, "the machine"), Errors: []int{404, 422, 507},
		},
	}
}
