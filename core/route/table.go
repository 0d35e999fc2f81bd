package route

import (
	"slices"

	"vetting/core"
)

// Table returns every call of the operator API.
func Table() []Route {
	return slices.Concat(
		hostRoutes(), hostOrderRoutes(), ignoreRoutes(), noteRoutes(), controlRoutes(), installedRoutes(), classRoutes(), runRoutes(), holdRoutes(), queueRoutes(), runDetailRoutes(), reportRoutes(), batchRoutes(), modelRoutes(), firmwareRoutes(), profileRoutes(), tokenRoutes(), userRoutes(),
		upkeepRoutes(), backupRoutes(), netbootRoutes(), discoveryRoutes(), taskRoutes(), systemRoutes(), probeRoutes(),
	)
}

func ok(value any, summary string) Answer {
	return Answer{Status: 200, Type: JSON, Value: value, Summary: summary}
}

func hostRoutes() []Route {
	const mac = "/api/v1/hosts/{mac}"

	return []Route{
		{
			Name: "hosts.list", Tag: "hosts", Method: "GET", Path: "/api/v1/hosts", Scope: Read,
			Summary: "List hosts by MAC", Query: paging(), OK: ok(HostList{}, "a page of hosts"), Errors: []int{422},
		},
		{
			Name: "hosts.create", Tag: "hosts", Method: "POST", Path: "/api/v1/hosts", Scope: Operate,
			Summary: "Register a host", ReqType: JSON, Req: HostCreate{},
			OK: Answer{Status: 201, Type: JSON, Value: core.Host{}, Summary: "the host"}, Errors: []int{400, 409, 422, 507},
		},
		{
			Name: "hosts.get", Tag: "hosts", Method: "GET", Path: mac, Scope: Read,
			Summary: "Show a host", OK: ok(core.Host{}, "the host"), Tagged: true, Errors: []int{404, 422},
		},
		{
			Name: "hosts.update", Tag: "hosts", Method: "PATCH", Path: mac, Scope: Operate,
			Summary: "Change what is given of a host; power secrets are forgotten when the address, user or trust they are for changes", ReqType: JSON, Req: HostPatch{},
			OK: ok(core.Host{}, "the host"), Tagged: true, Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "hosts.delete", Tag: "hosts", Method: "DELETE", Path: mac, Scope: Operate,
			Summary: "Delete a host; for a while it can be brought back, and its runs and reports stay",
			OK:      Answer{Status: 204, Summary: "deleted"}, Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "hosts.spec", Tag: "hosts", Method: "PUT", Path: mac + "/spec", Scope: Operate,
			Summary: "Set the expected spec; an empty body removes it", ReqType: YAML,
			OK: ok(core.Host{}, "the host"), Tagged: true, Errors: []int{400, 404, 422, 507},
		},
		{
			Name: "hosts.clear-quarantine", Tag: "hosts", Method: "POST", Path: mac + "/clear-quarantine", Scope: Operate,
			Summary: "Trust a quarantined host again; its next claim records its identity anew",
			OK:      ok(core.Host{}, "the host"), Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "hosts.start", Tag: "runs", Method: "POST", Path: mac + "/runs", Scope: Operate,
			Summary: "Start a run on the host", ReqType: JSON, Req: RunStart{},
			OK: Answer{Status: 201, Type: JSON, Value: Run{}, Summary: "the run"}, Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "hosts.plan", Tag: "runs", Method: "POST", Path: mac + "/runs/plan", Scope: Operate,
			Summary: "Say what the start of a run would do on the host, and start nothing: its stages with how long they take, and what becomes of each disk",
			ReqType: JSON, Req: RunStart{}, OK: ok(RunPlan{}, "the plan, also where the run would be refused now"), Errors: []int{400, 404, 422},
		},
		{
			Name: "discovered.list", Tag: "hosts", Method: "GET", Path: "/api/v1/discovered", Scope: Read,
			Summary: "List machines heard on the test network that are not registered",
			Query:   append([]Param{{Name: "ignored", Kind: "boolean", Summary: "only those that are ignored, which are left out otherwise"}}, paging()...),
			OK:      ok(SightingList{}, "a page of machines"), Errors: []int{422},
		},
		{
			Name: "boot-trace.get", Tag: "hosts", Method: "GET", Path: "/api/v1/boot-trace/{mac}", Scope: Read,
			Summary: "Show what was seen of a machine's last boot", OK: ok(BootTrace{}, "the steps in order"), Errors: []int{404, 422},
		},
	}
}

func hostOrderRoutes() []Route {
	const mac = "/api/v1/hosts/{mac}"

	return []Route{
		{
			Name: "hosts.trash", Tag: "hosts", Method: "GET", Path: "/api/v1/trash", Scope: Read,
			Summary: "List deleted hosts that can be brought back", Query: paging(), OK: ok(HostList{}, "a page of hosts"), Errors: []int{422},
		},
		{
			Name: "hosts.undelete", Tag: "hosts", Method: "POST", Path: mac + "/undelete", Scope: Operate,
			Summary: "Bring a deleted host back as it was", OK: ok(core.Host{}, "the host"), Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "waivers.list", Tag: "hosts", Method: "GET", Path: mac + "/waivers", Scope: Read,
			Summary: "List the findings of a host that somebody bears with, the oldest first, and those that count no more", OK: ok(WaiverList{}, "the waivers"), Errors: []int{404, 422},
		},
		{
			Name: "waivers.withdraw", Tag: "hosts", Method: "DELETE", Path: mac + "/waivers/{id}", Scope: Operate,
			Summary: "End a waiver before its day; reports of runs that are over keep it", OK: Answer{Status: 204, Summary: "withdrawn"}, Errors: []int{404, 422, 507},
		},
		{
			Name: "hosts.secrets", Tag: "hosts", Method: "PUT", Path: mac + "/power-secrets", Scope: Operate,
			Summary: "Set the passwords of a host's power methods; they are never shown again", ReqType: JSON, Req: HostSecrets{},
			OK: ok(core.Host{}, "the host"), Errors: []int{400, 404, 422, 507},
		},
		{
			Name: "hosts.learn", Tag: "hosts", Method: "POST", Path: mac + "/spec/learn", Scope: Operate,
			Summary: "Write the spec that the machine of a run fulfils; it counts once it is put", ReqType: JSON, Req: SpecLearn{},
			OK: ok(SpecText{}, "the spec"), Errors: []int{400, 404, 409, 422},
		},
		{
			Name: "hosts.export", Tag: "hosts", Method: "GET", Path: "/api/v1/hosts.csv", Scope: Read,
			Summary: "Get all hosts as CSV with the headers of NetBox", OK: Answer{Status: 200, Type: CSV, Summary: "a row for each host"},
		},
		{
			Name: "hosts.import", Tag: "hosts", Method: "POST", Path: "/api/v1/hosts.csv", Scope: Operate,
			Summary: "Register or change hosts from CSV, all of them or none; the error names every row that is wrong", ReqType: CSV,
			Query: []Param{{Name: "dry_run", Kind: "boolean", Summary: "only say what would be done"}},
			OK:    ok(ImportResult{}, "what came of each row"), Errors: []int{422, 507},
		},
		{
			Name: "discovered.adopt", Tag: "hosts", Method: "POST", Path: "/api/v1/discovered/{mac}/adopt", Scope: Operate,
			Summary: "Register a machine that was heard on the test network", ReqType: JSON, Req: HostFields{},
			OK: Answer{Status: 201, Type: JSON, Value: core.Host{}, Summary: "the host"}, Errors: []int{400, 404, 409, 422, 507},
		},
	}
}

func classRoutes() []Route {
	const class = "/api/v1/classes/{name}"

	return []Route{
		{
			Name: "classes.list", Tag: "classes", Method: "GET", Path: "/api/v1/classes", Scope: Read,
			Summary: "List model classes, whose hosts share spec and rules", OK: ok(ClassList{}, "the classes by name"),
		},
		{
			Name: "classes.get", Tag: "classes", Method: "GET", Path: class, Scope: Read,
			Summary: "Show a model class", OK: ok(core.Class{}, "the class"), Tagged: true, Errors: []int{404},
		},
		{
			Name: "classes.put", Tag: "classes", Method: "PUT", Path: class, Scope: Operate,
			Summary: "Set what hosts of a model share", ReqType: JSON, Req: ClassPut{}, OK: ok(core.Class{}, "the class"), Tagged: true, Errors: []int{400, 422, 507},
		},
		{
			Name: "classes.delete", Tag: "classes", Method: "DELETE", Path: class, Scope: Operate,
			Summary: "Forget a model class that no host names", OK: Answer{Status: 204, Summary: "forgotten"}, Errors: []int{404, 409, 507},
		},
	}
}

func runRoutes() []Route {
	const run = "/api/v1/runs/{id}"

	return []Route{
		{
			Name: "runs.list", Tag: "runs", Method: "GET", Path: "/api/v1/runs", Scope: Read,
			Summary: "List runs, the newest first",
			Query: append([]Param{
				{Name: "state", Kind: "string", Summary: "only runs in this state, or \"active\" or \"over\""},
				{Name: "host", Kind: "string", Summary: "only runs of the host with this MAC"},
				{Name: "profile", Kind: "string", Summary: "only runs of this profile"},
				{Name: "verdict", Kind: "string", Summary: "only runs with this verdict: pass, fail, error or cancelled"},
				{Name: "batch", Kind: "string", Summary: "only runs of this batch"},
			}, paging()...),
			OK: ok(RunList{}, "a page of runs; a page may be short and still have a next"), Errors: []int{422},
		},
		{
			Name: "runs.get", Tag: "runs", Method: "GET", Path: run, Scope: Read,
			Summary: "Show a run with its stages", OK: ok(Run{}, "the run"), Errors: []int{404},
		},
		{
			Name: "runs.cancel", Tag: "runs", Method: "POST", Path: run + "/cancel", Scope: Operate,
			Summary: "Cancel a run that is not over", OK: ok(Run{}, "the run"), Errors: []int{404, 409, 507},
		},
		{
			Name: "runs.release", Tag: "runs", Method: "POST", Path: run + "/release", Scope: Operate,
			Summary: "Release a held host", OK: ok(Run{}, "the run"), Errors: []int{404, 409, 507},
		},
		{
			Name: "runs.fail", Tag: "runs", Method: "POST", Path: run + "/fail", Scope: Operate,
			Summary: "End the hold of a failed host and give it up: the verdict is fail, whatever stopped the run, and the report says who and why",
			ReqType: JSON, Req: RunFail{}, OK: ok(Run{}, "the run"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "runs.withdraw", Tag: "runs", Method: "POST", Path: run + "/withdraw", Scope: Operate,
			Summary: "Take the start of a run back whose grace is not over; the host has the last run and verdict that it had before",
			OK:      ok(Run{}, "the run"), Errors: []int{404, 409, 507},
		},
		{
			Name: "runs.retry", Tag: "runs", Method: "POST", Path: run + "/retry", Scope: Operate,
			Summary: "Leave the hold and run the failed stage again, or one before it; the body may be absent", ReqType: JSON, Req: StageRetry{},
			OK: ok(Run{}, "the run"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "runs.stages", Tag: "runs", Method: "GET", Path: run + "/stages", Scope: Read,
			Summary: "Show the stages of a run", OK: ok(StageList{}, "the stages in order"), Errors: []int{404},
		},
	}
}

// holdRoutes are what is done about a held run.
func holdRoutes() []Route {
	const run = "/api/v1/runs/{id}"

	return []Route{
		{
			Name: "runs.override-wipe", Tag: "runs", Method: "POST", Path: run + "/override-wipe", Scope: Operate,
			Summary: "Run Storage again and let it overwrite foreign data on the named armed disks, once and within 15 minutes",
			ReqType: JSON, Req: WipeOverride{}, OK: ok(Run{}, "the run"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "runs.waive", Tag: "runs", Method: "POST", Path: run + "/waivers", Scope: Operate,
			Summary: "Bear with one finding of a held run until a day; no verdict changes, and every report of the host that has the finding says so",
			ReqType: JSON, Req: WaiverCreate{}, OK: Answer{Status: 201, Type: JSON, Value: core.Waiver{}, Summary: "the waiver"}, Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "runs.hold-key", Tag: "runs", Method: "POST", Path: run + "/hold-key", Scope: Operate, Secret: true,
			Summary: "Take the SSH key of a held host; it is handed out once", OK: ok(core.HoldKey{}, "the key"), Errors: []int{404, 409, 507},
		},
		{
			Name: "runs.renew-hold-key", Tag: "runs", Method: "POST", Path: run + "/hold-key/renew", Scope: Operate, Secret: true,
			Summary: "Make a new SSH key for a held host and take it; within half a minute the host lets it in, and the one before no more",
			OK:      ok(core.HoldKey{}, "the key"), Errors: []int{404, 409, 507},
		},
		{
			Name: "runs.hold-tunnel", Tag: "runs", Method: "GET", Path: run + "/hold/tunnel", Scope: Operate,
			Summary: "Reach the SSH server of a held host: with Connection: Upgrade and Upgrade: " + TunnelProtocol +
				" the connection carries its bytes from then on",
			OK: Answer{Status: 101, Summary: "the connection is a tunnel now"}, Errors: []int{404, 409, 426, 503, 507},
		},
	}
}

func runDetailRoutes() []Route {
	const run = "/api/v1/runs/{id}"

	return []Route{
		{
			Name: "runs.samples", Tag: "runs", Method: "GET", Path: run + "/samples", Scope: Read,
			Summary: "Get measured values",
			Query: append([]Param{
				{Name: "key", Kind: "string", Summary: "only this key; * matches within one part of it"},
				{Name: "from", Kind: "string", Summary: "only from this time on (RFC 3339)"},
				{Name: "to", Kind: "string", Summary: "only before this time (RFC 3339)"},
				{Name: "step", Kind: "integer", Summary: "sum up in buckets of so many seconds"},
				{Name: "badges", Kind: "boolean", Summary: "say of each sample what the rules made of it; slow for long runs"},
			}, paging()...),
			OK: ok(SampleList{}, "a page of samples, or of buckets when a step is given"), Errors: []int{404, 422},
		},
		{
			Name: "runs.evaluations", Tag: "runs", Method: "GET", Path: run + "/evaluations", Scope: Read,
			Summary: "Show what the rules said of every series, and the trails of how they came to it: extremes, counts, " +
				"changes of the verdict and the samples around breaches",
			Query: []Param{
				{Name: "stage", Kind: "string", Summary: "only of this stage"},
				{Name: "key", Kind: "string", Summary: "only of this key; * matches within one part of it"},
			},
			OK: ok(EvaluationList{}, "evaluations and trails"), Errors: []int{404, 422},
		},
		{
			Name: "runs.spec-diffs", Tag: "runs", Method: "GET", Path: run + "/spec-diffs", Scope: Read,
			Summary: "Show where expected spec and machine differ", OK: ok(SpecDiffList{}, "the differences"), Errors: []int{404},
		},
		{
			Name: "runs.firmware", Tag: "runs", Method: "GET", Path: run + "/firmware", Scope: Read,
			Summary: "Show the firmware the run found and what the rules frozen with it say", OK: ok(FirmwareList{}, "the versions"), Errors: []int{404},
		},
		{
			Name: "runs.log", Tag: "runs", Method: "GET", Path: run + "/log", Scope: Read,
			Summary: "Read the log of a run",
			Query: []Param{
				{Name: "after", Kind: "integer", Summary: "only lines with a higher seq"},
				{Name: "limit", Kind: "integer", Summary: "at most so many lines (1 to 1000, 200 by default)"},
			},
			OK: ok(LogPage{}, "a page of lines"), Errors: []int{404, 422},
		},
		{
			Name: "runs.artifacts", Tag: "runs", Method: "GET", Path: run + "/artifacts", Scope: Read,
			Summary: "List the files a run left", OK: ok(ArtifactList{}, "the files"), Errors: []int{404},
		},
		{
			Name: "runs.artifact", Tag: "runs", Method: "GET", Path: run + "/artifacts/{sha256}", Scope: Read,
			Summary: "Download a file a run left",
			OK:      Answer{Status: 200, Type: Binary, Summary: "the content"}, Errors: []int{404},
		},
	}
}

func tokenRoutes() []Route {
	return []Route{
		{
			Name: "tokens.list", Tag: "tokens", Method: "GET", Path: "/api/v1/tokens", Scope: Admin,
			Summary: "List API tokens", OK: ok(TokenList{}, "the tokens, without their secrets"),
		},
		{
			Name: "tokens.create", Tag: "tokens", Method: "POST", Path: "/api/v1/tokens", Scope: Admin, Secret: true,
			Summary: "Make an API token; its secret is shown only in this answer", ReqType: JSON, Req: TokenCreate{},
			OK: Answer{Status: 201, Type: JSON, Value: TokenCreated{}, Summary: "the token with its secret"}, Errors: []int{400, 422, 507},
		},
		{
			Name: "tokens.delete", Tag: "tokens", Method: "DELETE", Path: "/api/v1/tokens/{id}", Scope: Admin,
			Summary: "Revoke an API token", OK: Answer{Status: 204, Summary: "revoked"}, Errors: []int{404, 507},
		},
	}
}

func systemRoutes() []Route {
	return []Route{
		{
			Name: "events", Tag: "events", Method: "GET", Path: "/api/v1/events", Scope: Read,
			Summary: "Follow what happens, as server-sent events: id is the ledger's sequence number, so Last-Event-ID resumes " +
				"without loss; log and sample frames carry no id",
			Query: []Param{
				{Name: "after", Kind: "integer", Summary: "start after this sequence number; absent: only what happens from now on"},
				{Name: "run", Kind: "string", Summary: "only this run, with its log as log frames"},
				{Name: "host", Kind: "string", Summary: "only the host with this MAC"},
			},
			OK: Answer{Status: 200, Type: Stream, Summary: "an endless stream"}, Errors: []int{404, 422, 503},
		},
		{
			Name: "audit.list", Tag: "system", Method: "GET", Path: "/api/v1/audit", Scope: Read,
			Summary: "Read the audit trail, the newest entry first",
			Query: append([]Param{
				{Name: "id", Kind: "string", Summary: "only this entry: an order's answer names the one that it left in the header Vetting-Activity"},
				{Name: "result", Kind: "string", Summary: "only what was done, refused or failed"},
				{Name: "who", Kind: "string", Summary: "only what this operator did"},
				{Name: "action", Kind: "string", Summary: "only actions that begin so, such as \"host.\""},
				{Name: "host", Kind: "string", Summary: "only what was done to the host with this MAC"},
			}, paging()...),
			OK: ok(AuditList{}, "a page of entries; a page may be short and still have a next"), Errors: []int{422},
		},
		{
			Name: "config.get", Tag: "system", Method: "GET", Path: "/api/v1/config", Scope: Admin,
			Summary: "Show the settings in force, without secrets", OK: ok(SettingList{}, "the settings by key"),
		},
	}
}

func userRoutes() []Route {
	const user = "/api/v1/users/{name}"

	return []Route{
		{
			Name: "users.list", Tag: "users", Method: "GET", Path: "/api/v1/users", Scope: Admin,
			Summary: "List the people who may sign in", OK: ok(UserList{}, "the users by name"),
		},
		{
			Name: "users.create", Tag: "users", Method: "POST", Path: "/api/v1/users", Scope: Admin, Secret: true,
			Summary: "Make a user; they set their password by the one-time link of the answer", ReqType: JSON, Req: UserCreate{},
			OK: Answer{Status: 201, Type: JSON, Value: UserInvited{}, Summary: "the user and the link, good for 24 hours"}, Errors: []int{400, 409, 422, 507},
		},
		{
			Name: "users.update", Tag: "users", Method: "PATCH", Path: user, Scope: Admin,
			Summary: "Give a user another role; it counts at once", ReqType: JSON, Req: UserPatch{},
			OK: ok(User{}, "the user"), Errors: []int{400, 404, 409, 422, 507},
		},
		{
			Name: "users.invite", Tag: "users", Method: "POST", Path: user + "/invite", Scope: Admin, Secret: true,
			Summary: "Make a one-time link that sets the user's password anew", OK: ok(UserInvited{}, "the user and the link"), Errors: []int{404, 507},
		},
		{
			Name: "users.reset-totp", Tag: "users", Method: "POST", Path: user + "/reset-totp", Scope: Admin,
			Summary: "Take the second factor of a user away, who has lost it; their password alone opens then", OK: ok(User{}, "the user"), Errors: []int{404, 409, 507},
		},
		{
			Name: "users.delete", Tag: "users", Method: "DELETE", Path: user, Scope: Admin,
			Summary: "Remove a user; their sessions end", OK: Answer{Status: 204, Summary: "removed"}, Errors: []int{404, 409, 507},
		},
	}
}

// probeRoutes are for monitors and for those who write programs.
func probeRoutes() []Route {
	return []Route{
		{
			Name: "metrics", Tag: "system", Method: "GET", Path: "/metrics", Scope: Read,
			Summary: "Get figures for Prometheus; give it an API token with the scope read",
			OK:      Answer{Status: 200, Type: Metrics, Summary: "Prometheus text format 0.0.4"},
		},
		{
			Name: "healthz", Tag: "system", Method: "GET", Path: "/healthz", Scope: None,
			Summary: "Say whether the process lives", OK: ok(Health{}, "it does"),
		},
		{
			Name: "readyz", Tag: "system", Method: "GET", Path: "/readyz", Scope: None,
			Summary: "Say whether the appliance can vet hosts", OK: ok(Health{}, "it can"), Errors: []int{503},
		},
		{
			Name: "openapi.yaml", Tag: "system", Method: "GET", Path: "/api/openapi.yaml", Scope: None,
			Summary: "Get this document; it is JSON, which is YAML too",
			OK:      Answer{Status: 200, Type: YAML, Summary: "OpenAPI 3.1"},
		},
		{
			Name: "openapi.json", Tag: "system", Method: "GET", Path: "/api/v1/openapi.json", Scope: None,
			Summary: "Get this document", OK: Answer{Status: 200, Type: JSON, Value: map[string]any{}, Summary: "OpenAPI 3.1"},
		},
		{
			Name: "docs", Tag: "system", Method: "GET", Path: "/api/docs", Scope: None,
			Summary: "Read this document as a page that needs nothing else", OK: Answer{Status: 200, Type: HTML, Summary: "the page"},
		},
	}
}

func paging() []Param {
	return []Param{
		{Name: "limit", Kind: "integer", Summary: "at most so many (1 to 500, 100 by default)"},
		{Name: "page_token", Kind: "string", Summary: "next_page_token of the page before"},
	}
}
