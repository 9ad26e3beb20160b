package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"fleet/schedule"
	"fleet/unit"
)

// Base is the path that every call of the API begins with.
const Base = "/fleet/v1/"

// Store is what the API needs of the cluster's store. Errors may wrap
// unit.ErrNotFound, unit.ErrExists, schedule.ErrCompacted and
// schedule.ErrUnavailable.
type Store interface {
	// Snapshot is everything there is as of a revision; 0 is now, linearizable.
	Snapshot(ctx context.Context, revision int64) (schedule.Update, error)
	// Follow calls fn with a snapshot and then with every change, until ctx
	// ends, fn returns an error or the store fails.
	Follow(ctx context.Context, fn func(schedule.Update) error) error
	// PutUnit creates the unit, or makes file its new version, with the target
	// state; created says that the cluster did not know it. Without a file only
	// the target state changes. expect is nil for any, a pointer to "" where
	// the unit must not exist, or to the hash of the file it must have.
	PutUnit(ctx context.Context, name string, file *unit.File, target unit.TargetState, expect *string) (created bool, err error)
	// DeleteUnit removes the unit's record; the engine releases its placements.
	DeleteUnit(ctx context.Context, name string) error
	// EditLabels applies fn to the labels of the machines named, all or none of
	// them; fn may be called again.
	EditLabels(ctx context.Context, machines []string, fn func([]schedule.Label) error) error
}

// Upkeep is what the API needs of the store beyond everyday calls. Errors may
// wrap unit.ErrNotFound, schedule.ErrUnknownMachine, schedule.ErrAlive and
// schedule.ErrUnavailable.
type Upkeep interface {
	// SetScale has a template kept at another number of instances than its file
	// says, or with nil at that.
	SetScale(ctx context.Context, name string, s *unit.Scale) error
	// Forget removes everything that the store holds of a machine that is away
	// for good.
	Forget(ctx context.Context, machine string) error
}

// Config is what a Server is made of. Only Store and Upkeep are mandatory.
type Config struct {
	Store     Store
	Upkeep    Upkeep
	Policy    schedule.Policy // the engine's, for explain; without a strategy it is the default
	MachineID string          // whose fleetd this is, told by /health
	Version   string          // of this fleet, told in snapshots
	Logger    *slog.Logger    // of what clients can't be told; nil discards
	// Unavailable says why this fleetd can't answer; while it isn't empty
	// every call fails with 503 and that reason.
	Unavailable func() string
	PageLimit   int          // entries of a listing's page; 0 is 100
	Metrics     http.Handler // answers /metrics where given
}

// Server is the HTTP API of one fleetd.
type Server struct {
	cfg     Config
	log     *slog.Logger
	mux     *http.ServeMux
	reader  *reader
	feed    *feed
	closing context.Context // of the event streams
	hangUp  context.CancelFunc
}

// NewServer returns the API's handler. It is to be closed after use.
func NewServer(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.PageLimit <= 0 {
		cfg.PageLimit = 100
	}
	if cfg.Policy.Strategy == "" {
		cfg.Policy = schedule.DefaultPolicy()
	}
	if cfg.Unavailable == nil {
		cfg.Unavailable = func() string { return "" }
	}
	s := &Server{cfg: cfg, log: cfg.Logger, mux: http.NewServeMux()}
	s.closing, s.hangUp = context.WithCancel(context.Background())
	s.reader = newReader(cfg.Store, cfg.Policy)
	s.feed = newFeed(cfg.Store, cfg.Policy)
	s.routes()
	return s
}

// Close ends what calls still wait for, and waits for everything that the
// server has started. No call may come any more.
func (s *Server) Close() {
	s.hangUp()
	s.feed.close()
	s.reader.close()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// methods maps a request's method to what answers it.
type methods map[string]func(http.ResponseWriter, *http.Request) error

// calls are the paths below Base and what answers there: those that answer at
// once, and the streams, which take as long as they take.
func (s *Server) calls() (calls, streams map[string]methods) {
	return map[string]methods{
			"units":          {"GET": s.listUnits},
			"units/{name}":   {"GET": s.getUnit, "PUT": s.putUnit, "DELETE": s.deleteUnit},
			"state":          {"GET": s.listStates},
			"state/{name}":   {"GET": s.getState},
			"machines":       {"GET": s.listMachines, "PATCH": s.patchMachines},
			"machines/{id}":  {"GET": s.getMachine, "DELETE": s.forgetMachine},
			"explain/{name}": {"GET": s.explain},
			"discovery":      {"GET": s.discovery},
		}, map[string]methods{
			"events":   {"GET": s.events},
			"snapshot": {"GET": s.snapshot},
		}
}

func (s *Server) routes() {
	calls, streams := s.calls()
	for path, m := range calls {
		s.mux.HandleFunc(Base+path, s.answer(m, callTimeout))
	}
	for path, m := range streams {
		s.mux.HandleFunc(Base+path, s.answer(m, 0))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, refuse(http.StatusNotFound, "there is nothing at %s", r.URL.Path))
	})
	s.mux.HandleFunc("/health", s.answer(methods{"GET": s.health}, callTimeout))
	if s.cfg.Metrics != nil {
		s.mux.Handle("/metrics", s.cfg.Metrics)
	}
}

// callTimeout bounds what one call may wait for the store.
const callTimeout = 30 * time.Second

// answer serves one path: it finds the method, gives it the time there is (0:
// no end) and writes the error there is.
func (s *Server) answer(m methods, limit time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := s.cfg.Unavailable(); why != "" {
			s.fail(w, r, refuse(http.StatusServiceUnavailable, "%s", why))
			return
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		handle := m[method]
		if handle == nil {
			w.Header().Set("Allow", m.allowed())
			s.fail(w, r, refuse(http.StatusMethodNotAllowed, "%s does not go with %s", r.Method, r.URL.Path))
			return
		}
		if limit > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), limit)
			defer cancel()
			r = r.WithContext(ctx)
		}
		if err := handle(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// discovery answers with the description of the API for generated clients.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(discoveryDocument)
	return nil
}

// health answers 200 as long as the store does.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.reader.now(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "machineID": s.cfg.MachineID})
}
