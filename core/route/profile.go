package route

func profileRoutes() []Route {
	const (
		base = "/api/v1/profiles"
		one  = base + "/{name}"
	)

	return []Route{
		{
			Name: "profiles.list", Tag: "profiles", Method: "GET", Path: base, Scope: Read,
			Summary: "List the profiles with where they come from, also those of the console that cannot be used any more", OK: ok(ProfileList{}, "the profiles by name"),
		},
		{
			Name: "profiles.get", Tag: "profiles", Method: "GET", Path: one, Scope: Read,
			Summary: "Show a profile; of one that was made in the console its text and its versions, too", OK: ok(ProfileDetail{}, "the profile"), Errors: []int{404},
		},
		{
			Name: "profiles.set", Tag: "profiles", Method: "PUT", Path: one, Scope: Admin,
			Summary: "Save a profile, for runs that are started from now on: YAML, as below profiles.NAME of the configuration file", ReqType: YAML,
			Query: []Param{{Name: "version", Kind: "integer", Summary: "the version that was seen last, 0 for a new profile: 409 when there is another (default: any)"}},
			OK:    ok(ProfileDetail{}, "the profile"), Errors: []int{400, 409, 422, 507},
		},
		{
			Name: "profiles.check", Tag: "profiles", Method: "POST", Path: one + "/check", Scope: Operate,
			Summary: "Say what a text would come to as a profile of this name, without saving it", ReqType: YAML,
			OK: ok(Profile{}, "the profile that it would be"), Errors: []int{400, 409, 422},
		},
		{
			Name: "profiles.delete", Tag: "profiles", Method: "DELETE", Path: one, Scope: Admin,
			Summary: "Remove a profile that was made in the console; runs that had it keep what they used",
			OK:      Answer{Status: 204, Summary: "removed"}, Errors: []int{404, 409, 507},
		},
		{
			Name: "profiles.estimate", Tag: "profiles", Method: "GET", Path: one + "/estimate", Scope: Read,
			Summary: "Say how long a profile takes, as runs that are over tell: on each model that was vetted, or on one host",
			Query:   []Param{{Name: "host", Kind: "string", Summary: "the MAC of the host that it is for"}},
			OK:      ok(ProfileEstimate{}, "the times"), Errors: []int{404, 422},
		},
	}
}
