/* A stub of libnvidia-ml.so.1 for tests and benchmarks: answers like a node of H200s, or as wrongly as it is told.
 *
 * The state is a text file named by STUB_NVML_STATE; the 8 bytes of the file beside it, with ".version" added, are
 * mapped, and the text is read again whenever they change. stub.py writes both and says what a line means.
 */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10 };
enum { MAX_GPUS = 64, MAX_RULES = 512, MAX_MIG = 64, MAX_XIDS = 256, MAX_PROCESSES = 512, TEXT = 128 };
#define ANY (-1)

typedef struct { int gpu; char call[TEXT]; char kind; double value; char text[TEXT]; } Rule;
typedef struct { int gpu, instance; char profile[TEXT], uuid[TEXT]; unsigned long long total; } Mig;
typedef struct { unsigned long long number; int gpu; unsigned long long code; unsigned instance; } Event;
typedef struct { int gpu; unsigned pid; unsigned long long memory; char name[TEXT]; } Process;
typedef struct { double taken; int filled; } Sample;
typedef struct { unsigned long long gpus; int changes; } EventSet;

typedef struct {
    int gpus, init, driver, rules, migs, xids, processes;
    Rule rule[MAX_RULES]; Mig mig[MAX_MIG]; Event xid[MAX_XIDS]; Process process[MAX_PROCESSES];
} State;
/* Replaced whole, and the one before left as it is: another thread may be reading it. */
static State *volatile state;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long long *version;
static unsigned long long seen, delivered;
static char path[4096];
static int users, driver_at_init, generation;
static long live_samples;

long stub_live_samples(void) { return live_samples; }

static void parse(void) {
    char line[1024], one[TEXT], two[TEXT];
    FILE *file = fopen(path, "r");
    State *fresh = calloc(1, sizeof *fresh);
    while (file && fgets(line, sizeof line, file)) {
        Rule *r = &fresh->rule[fresh->rules]; Mig *m = &fresh->mig[fresh->migs];
        Event *x = &fresh->xid[fresh->xids]; Process *p = &fresh->process[fresh->processes];
        memset(r, 0, sizeof *r); memset(m, 0, sizeof *m); memset(p, 0, sizeof *p);
        if (sscanf(line, "gpus %d", &fresh->gpus) == 1) continue;
        if (sscanf(line, "init %d", &fresh->init) == 1) continue;
        if (sscanf(line, "driver %d", &fresh->driver) == 1) continue;
        if (fresh->rules < MAX_RULES && sscanf(line, "rule %d %127s %127s %127[^\n]", &r->gpu, r->call, one, two) == 4) {
            r->kind = one[0]; r->value = strtod(two, NULL); snprintf(r->text, TEXT, "%s", two); fresh->rules++;
        } else if (fresh->migs < MAX_MIG && sscanf(line, "mig %d %d %127s %127s %llu", &m->gpu, &m->instance, m->profile,
                                                  m->uuid, &m->total) == 5) fresh->migs++;
        else if (fresh->xids < MAX_XIDS && sscanf(line, "xid %llu %d %llu %u", &x->number, &x->gpu, &x->code,
                                                 &x->instance) == 4) fresh->xids++;
        else if (fresh->processes < MAX_PROCESSES && sscanf(line, "process %d %u %llu %127[^\n]", &p->gpu, &p->pid,
                                                           &p->memory, p->name) == 4) fresh->processes++;
    }
    if (file) fclose(file);
    state = fresh;
}

static void refresh(void) {
    if (!version || *version == seen) return;
    pthread_mutex_lock(&guard);
    if (*version != seen) { seen = *version; parse(); }
    pthread_mutex_unlock(&guard);
}

static void attach(void) {
    char name[4096 + 16];
    const char *wanted = getenv("STUB_NVML_STATE");
    if (state && (!wanted || !strcmp(wanted, path))) return;
    pthread_mutex_lock(&guard);
    snprintf(path, sizeof path, "%s", wanted ? wanted : "");
    snprintf(name, sizeof name, "%s.version", path);
    int file = open(name, O_RDONLY);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    version = mapped == MAP_FAILED ? NULL : mapped;
    delivered = 0; seen = version ? *version : 0;
    parse();
    pthread_mutex_unlock(&guard);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void nap(void) { struct timespec time = {0, 10 * 1000000}; nanosleep(&time, NULL); }

/* The rule of a kind for a call: v(alue), r(eturn), h(ang), t(ext). */
static const Rule *rule(int gpu, const char *call, char kind) {
    for (int i = 0; i < state->rules; i++) {
        const Rule *r = &state->rule[i];
        if (r->kind == kind && (r->gpu == gpu || r->gpu == ANY) && (!strcmp(r->call, call) || !strcmp(r->call, "*")))
            return r;
    }
    return NULL;
}

/* What every call does first: hang, be refused, or go on. */
static int enter(int gpu, const char *call) {
    refresh();
    while (rule(gpu, call, 'h')) { nap(); refresh(); }
    const Rule *refused = rule(gpu, call, 'r');
    if (refused) return (int)refused->value;
    return users == 0 || state->driver != driver_at_init ? UNINITIALIZED : SUCCESS;
}

static double value(int gpu, const char *call, double otherwise) {
    const Rule *r = rule(gpu, call, 'v');
    return r ? r->value : otherwise;
}

/* A handle says its GPU, its MIG device and the initialisation that it came from. */
static void *handle_of(int gpu, int mig) { return (void *)(uintptr_t)(0x10000000u + generation * 0x100000u + gpu * 0x1000u + mig); }
static int gpu_of(void *handle) { return (int)(((uintptr_t)handle >> 12) & 0xff); }
static int mig_of(void *handle) { return (int)((uintptr_t)handle & 0xfff) - 1; }
static int is_stale(void *handle) { return (int)(((uintptr_t)handle - 0x10000000u) >> 20) != generation; }

#define BEGIN(handle, name) \
    int gpu = gpu_of(handle), code = enter(gpu, name); \
    if (code) return code; \
    if (is_stale(handle)) return INVALID

#define SCALAR(name, type, otherwise) \
    int name(void *handle, type *out) { BEGIN(handle, #name); *out = (type)value(gpu, #name, otherwise); return SUCCESS; }

#define TEXT_OF(name, otherwise) \
    int name(void *handle, char *out, unsigned size) { \
        BEGIN(handle, #name); const Rule *r = rule(gpu, #name, 't'); snprintf(out, size, "%s", r ? r->text : otherwise); \
        return SUCCESS; }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    attach(); refresh();
    while (rule(ANY, "nvmlInitWithFlags", 'h')) { nap(); refresh(); }
    if (state->init) return state->init;
    if (users++ == 0) { generation = (generation + 1) & 0xff; driver_at_init = state->driver; }
    return SUCCESS;
}
int nvmlShutdown(void) {
    refresh();
    int stale = users == 0 || state->driver != driver_at_init;
    if (users) users--;
    return stale ? UNINITIALIZED : SUCCESS;
}
const char *nvmlErrorString(int code) { static char text[32]; snprintf(text, sizeof text, "error %d", code); return text; }

int nvmlDeviceGetCount_v2(unsigned *out) {
    int code = enter(ANY, "nvmlDeviceGetCount_v2");
    if (!code) *out = (unsigned)value(ANY, "nvmlDeviceGetCount_v2", state->gpus);
    return code;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    int code = enter((int)index, "nvmlDeviceGetHandleByIndex_v2");
    if (code) return code;
    if ((int)index >= state->gpus) return INVALID;
    *out = handle_of((int)index, 0);
    return SUCCESS;
}
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int code = enter(ANY, "nvmlSystemGetDriverVersion");
    if (!code) snprintf(out, size, "580.159.04");
    return code;
}
int nvmlSystemGetNVMLVersion(char *out, unsigned size) { snprintf(out, size, "13.580.159.04"); return SUCCESS; }
int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size) {
    int code = enter(ANY, "nvmlSystemGetProcessName");
    for (int i = 0; !code && i < state->processes; i++)
        if (state->process[i].pid == pid) { snprintf(out, size, "%s", state->process[i].name); return SUCCESS; }
    return code ? code : NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *out, unsigned size) {
    BEGIN(handle, "nvmlDeviceGetUUID");
    const Rule *r = rule(gpu, "nvmlDeviceGetUUID", 't');
    int mig = mig_of(handle);
    if (mig >= 0) { if (mig >= state->migs) return INVALID; snprintf(out, size, "%s", state->mig[mig].uuid); }
    else if (r) snprintf(out, size, "%s", r->text);
    else snprintf(out, size, "GPU-00000000-0000-0000-0000-%012d", gpu);
    return SUCCESS;
}
int nvmlDeviceGetName(void *handle, char *out, unsigned size) {
    BEGIN(handle, "nvmlDeviceGetName");
    const Rule *r = rule(gpu, "nvmlDeviceGetName", 't');
    int mig = mig_of(handle);
    if (r) snprintf(out, size, "%s", r->text);
    else if (mig >= 0 && mig < state->migs) snprintf(out, size, "NVIDIA H200 MIG %s", state->mig[mig].profile);
    else snprintf(out, size, "NVIDIA H200");
    return SUCCESS;
}
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
int nvmlDeviceGetPciInfo_v3(void *handle, Pci *out) {
    BEGIN(handle, "nvmlDeviceGetPciInfo_v3");
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", 0x1b + gpu);
    return SUCCESS;
}
TEXT_OF(nvmlDeviceGetSerial, "1650000000001")
TEXT_OF(nvmlDeviceGetVbiosVersion, "96.00.BC.00.01")
TEXT_OF(nvmlDeviceGetInforomImageVersion, "G520.0210.00.05")
int nvmlDeviceGetInforomVersion(void *handle, unsigned object, char *out, unsigned size) {
    BEGIN(handle, "nvmlDeviceGetInforomVersion");
    snprintf(out, size, "%u.1", object + 2);
    return SUCCESS;
}
SCALAR(nvmlDeviceGetMinorNumber, unsigned, gpu)
SCALAR(nvmlDeviceGetBrand, unsigned, 14)

SCALAR(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, 1)
SCALAR(nvmlDeviceGetPowerUsage, unsigned, 78246)
SCALAR(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, 274449980)
SCALAR(nvmlDeviceGetPowerManagementLimit, unsigned, 700000)
SCALAR(nvmlDeviceGetEnforcedPowerLimit, unsigned, 700000)
SCALAR(nvmlDeviceGetPerformanceState, unsigned, 0)
SCALAR(nvmlDeviceGetPcieReplayCounter, unsigned, 0)
SCALAR(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, 5)
SCALAR(nvmlDeviceGetCurrPcieLinkWidth, unsigned, 16)
int nvmlDeviceGetFanSpeed(void *handle, unsigned *out) {
    BEGIN(handle, "nvmlDeviceGetFanSpeed");
    double speed = value(gpu, "nvmlDeviceGetFanSpeed", -1);
    *out = (unsigned)speed;
    return speed < 0 ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetClockInfo(void *handle, unsigned kind, unsigned *out) {
    BEGIN(handle, "nvmlDeviceGetClockInfo");
    *out = (unsigned)value(gpu, kind == 1 ? "sm_clock" : "mem_clock", kind == 1 ? 345 : 3201);
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *out) {
    (void)sensor;
    BEGIN(handle, "nvmlDeviceGetTemperature");
    *out = (unsigned)value(gpu, "nvmlDeviceGetTemperature", 37);
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *out) {
    BEGIN(handle, "nvmlDeviceGetUtilizationRates");
    out[0] = (unsigned)value(gpu, "utilization.gpu", 0);
    out[1] = (unsigned)value(gpu, "utilization.memory", 0);
    return SUCCESS;
}
#define ENGINE(name) \
    int name(void *handle, unsigned *out, unsigned *period) { \
        BEGIN(handle, #name); *out = (unsigned)value(gpu, #name, 0); *period = 100000; return SUCCESS; }
ENGINE(nvmlDeviceGetEncoderUtilization)
ENGINE(nvmlDeviceGetDecoderUtilization)

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
int nvmlDeviceGetMemoryInfo_v2(void *handle, Memory *out) {
    BEGIN(handle, "nvmlDeviceGetMemoryInfo_v2");
    int mig = mig_of(handle);
    out->total = (unsigned long long)value(gpu, "memory.total", 150754820096.0);
    if (mig >= 0 && mig < state->migs) out->total = state->mig[mig].total;
    out->reserved = mig >= 0 ? 0 : (unsigned long long)value(gpu, "memory.reserved", 657326080.0);
    out->used = (unsigned long long)value(gpu, mig >= 0 ? "mig.used" : "memory.used", 1048576.0);
    out->free = out->total - out->reserved - out->used;
    return SUCCESS;
}
int nvmlDeviceGetRemappedRows(void *handle, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    BEGIN(handle, "nvmlDeviceGetRemappedRows");
    *corrected = (unsigned)value(gpu, "rows.corrected", 0); *uncorrected = (unsigned)value(gpu, "rows.uncorrected", 0);
    *pending = (unsigned)value(gpu, "rows.pending", 0); *failed = (unsigned)value(gpu, "rows.failed", 0);
    return SUCCESS;
}
int nvmlDeviceGetRetiredPages(void *handle, unsigned cause, unsigned *count, unsigned long long *pages) {
    BEGIN(handle, "nvmlDeviceGetRetiredPages");
    (void)cause;
    double retired = value(gpu, "nvmlDeviceGetRetiredPages", -1);
    if (retired < 0) return NOT_SUPPORTED;
    if (!pages) { *count = (unsigned)retired; return retired > 0 ? TOO_SMALL : SUCCESS; }
    *count = (unsigned)retired;
    memset(pages, 0, *count * sizeof *pages);
    return SUCCESS;
}

typedef struct { unsigned id, scope; int64_t time, latency; unsigned type; int code; union { double d; unsigned u; unsigned long long l; } value; } Field;
int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    BEGIN(handle, "nvmlDeviceGetFieldValues");
    for (int i = 0; i < count; i++) {
        Field *f = &fields[i];
        char name[TEXT];
        if (f->scope) snprintf(name, sizeof name, "field:%u:%u", f->id, f->scope); else snprintf(name, sizeof name, "field:%u", f->id);
        const Rule *refused = rule(gpu, name, 'r');
        unsigned id = f->id;
        double otherwise = id == 82 ? 42 : id == 186 ? 79012 : id == 138 || id == 139 ? 1073741824.0 : 0;
        f->code = refused ? (int)refused->value : id == 30 || id == 31 ? NOT_SUPPORTED : SUCCESS;
        if (f->code) continue;
        double v = value(gpu, name, otherwise);
        f->type = id == 82 ? 0 : id == 186 ? 1 : id >= 3 && id <= 6 ? 0 : 3; /* 82 and 3 to 6 lie, as drivers do */
        if (id == 82 || id == 186) f->value.u = (unsigned)v; else f->value.l = (unsigned long long)v;
    }
    return SUCCESS;
}

typedef struct { unsigned version, supported; } Support;
int nvmlGpmQueryDeviceSupport(void *handle, Support *out) {
    BEGIN(handle, "nvmlGpmQueryDeviceSupport");
    out->supported = (unsigned)value(gpu, "nvmlGpmQueryDeviceSupport", 1);
    return SUCCESS;
}
int nvmlGpmSampleAlloc(Sample **out) { *out = calloc(1, sizeof **out); __sync_add_and_fetch(&live_samples, 1); return SUCCESS; }
int nvmlGpmSampleFree(Sample *sample) { free(sample); __sync_sub_and_fetch(&live_samples, 1); return SUCCESS; }
static int fill(Sample *sample, int gpu, int instance) { sample->taken = now(); sample->filled = 1 + gpu * 100 + instance + 1; return SUCCESS; }
int nvmlGpmSampleGet(void *handle, Sample *sample) { BEGIN(handle, "nvmlGpmSampleGet"); return fill(sample, gpu, -1); }
int nvmlGpmMigSampleGet(void *handle, unsigned instance, Sample *sample) {
    BEGIN(handle, "nvmlGpmMigSampleGet");
    for (int i = 0; i < state->migs; i++)
        if (state->mig[i].gpu == gpu && state->mig[i].instance == (int)instance) return fill(sample, gpu, (int)instance);
    return NOT_FOUND;
}
typedef struct { unsigned id; int code; double value; const char *names[3]; } Metric;
typedef struct { unsigned version, count; Sample *first, *second; Metric metrics[]; } Metrics;
int nvmlGpmMetricsGet(Metrics *request) {
    int source = request->first->filled - 1, gpu = source / 100, code = enter(gpu, "nvmlGpmMetricsGet");
    if (code) return code;
    if (source < 0 || request->first->filled != request->second->filled) return INVALID;
    if (request->second->taken - request->first->taken < 0.1) return INVALID;
    for (unsigned i = 0; i < request->count; i++) {
        Metric *m = &request->metrics[i];
        char name[TEXT];
        snprintf(name, sizeof name, source % 100 ? "gpm:%u:%d" : "gpm:%u", m->id, source % 100 - 1);
        const Rule *refused = rule(gpu, name, 'r');
        m->code = refused ? (int)refused->value : SUCCESS;
        m->value = value(gpu, name, m->id == 10 ? 0.00038961611577087343 : m->id == 20 ? 5.25 : 0);
    }
    return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    BEGIN(handle, "nvmlDeviceGetMigMode");
    *current = 0;
    for (int i = 0; i < state->migs; i++) if (state->mig[i].gpu == gpu) *current = 1;
    *pending = *current;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *out) { BEGIN(handle, "nvmlDeviceGetMaxMigDeviceCount"); *out = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **out) {
    BEGIN(handle, "nvmlDeviceGetMigDeviceHandleByIndex");
    for (int i = 0; i < state->migs; i++)
        if (state->mig[i].gpu == gpu && index-- == 0) { *out = handle_of(gpu, i + 1); return SUCCESS; }
    return NOT_FOUND;
}
int nvmlDeviceGetGpuInstanceId(void *handle, unsigned *out) {
    BEGIN(handle, "nvmlDeviceGetGpuInstanceId");
    int mig = mig_of(handle);
    if (mig < 0 || mig >= state->migs) return INVALID;
    *out = (unsigned)state->mig[mig].instance;
    return SUCCESS;
}
typedef struct { unsigned processors, copy, decoder, encoder, jpeg, ofa, slices, compute; unsigned long long memory; } Attributes;
int nvmlDeviceGetAttributes_v2(void *handle, Attributes *out) {
    BEGIN(handle, "nvmlDeviceGetAttributes_v2");
    int mig = mig_of(handle);
    if (mig < 0 || mig >= state->migs) return INVALID;
    memset(out, 0, sizeof *out);
    out->slices = (unsigned)atoi(state->mig[mig].profile);
    out->memory = state->mig[mig].total >> 20;
    return SUCCESS;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } ProcessInfo;
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, ProcessInfo *out) {
    BEGIN(handle, "nvmlDeviceGetComputeRunningProcesses_v3");
    unsigned found = 0;
    for (int i = 0; i < state->processes; i++) {
        if (state->process[i].gpu != gpu) continue;
        if (out && found < *count) { ProcessInfo one = {state->process[i].pid, state->process[i].memory, ~0u, ~0u}; out[found] = one; }
        found++;
    }
    int fits = found == 0 || (out && found <= *count);
    *count = found;
    return fits ? SUCCESS : TOO_SMALL;
}

typedef struct { void *device; unsigned long long type, data; unsigned instance, compute; } EventData;
int nvmlEventSetCreate(EventSet **out) {
    int code = enter(ANY, "nvmlEventSetCreate");
    if (code) return code;
    char name[4096 + 16];
    snprintf(name, sizeof name, "%s.version", path);
    *out = calloc(1, sizeof **out);
    (*out)->changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inotify_add_watch((*out)->changes, name, IN_CLOSE_WRITE);
    return SUCCESS;
}
int nvmlEventSetFree(EventSet *set) { close(set->changes); free(set); return SUCCESS; }
int nvmlDeviceRegisterEvents(void *handle, unsigned long long types, EventSet *set) {
    (void)types;
    BEGIN(handle, "nvmlDeviceRegisterEvents");
    set->gpus |= 1ull << gpu;
    return SUCCESS;
}
/* The driver wakes a thread that waits for events, and until then it costs nothing. So it is here. */
static void await_change(int changes, double seconds) {
    char notes[4096];
    struct pollfd watched = {changes, POLLIN, 0};
    if (poll(&watched, 1, (int)(seconds * 1e3) + 1) > 0 && read(changes, notes, sizeof notes) < 0) nap();
}

int nvmlEventSetWait_v2(EventSet *set, EventData *out, unsigned milliseconds) {
    double until = now() + milliseconds * 1e-3;
    for (;;) {
        int code = enter(ANY, "nvmlEventSetWait_v2");
        if (code) return code;
        for (int i = 0; i < state->xids; i++) {
            const Event *x = &state->xid[i];
            if (x->number <= delivered || !(set->gpus >> x->gpu & 1)) continue;
            delivered = x->number;
            EventData event = {handle_of(x->gpu, 0), 8, x->code, x->instance, ~0u};
            *out = event;
            return SUCCESS;
        }
        double left = until - now();
        if (left <= 0) return TIMEOUT;
        await_change(set->changes, left);
    }
}
