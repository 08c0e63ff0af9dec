/* A module of Redis and Valkey with one type of its own, a text: BT.SET key text, BT.GET key. Nothing of their headers is needed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void *any;

static int (*CreateCommand)(any, const char *, int (*)(any, any *, int), const char *, int, int, int);
static void (*SetModuleAttribs)(any, const char *, int, int);
static any (*CreateDataType)(any, const char *, int, any);
static any (*OpenKey)(any, any, int);
static void (*CloseKey)(any);
static int (*ModuleTypeSetValue)(any, any, any);
static any (*ModuleTypeGetValue)(any);
static const char *(*StringPtrLen)(any, size_t *);
static int (*ReplyWithSimpleString)(any, const char *);
static void (*SaveStringBuffer)(any, const char *, size_t);
static any (*LoadString)(any);
static int (*ReplicateVerbatim)(any);

static any type;

static any copied(any text) {
  size_t length;
  const char *from = StringPtrLen(text, &length);
  char *to = calloc(1, length + 1);
  return memcpy(to, from, length);
}

static any load(any io, int version) { return copied(LoadString(io)); }
static void save(any io, any value) { SaveStringBuffer(io, value, strlen(value)); }
static void rewrite(any io, any key, any value) {}
static void release(any value) { free(value); }

static int set(any ctx, any *words, int count) {
  any key = OpenKey(ctx, words[1], 3);
  ModuleTypeSetValue(key, type, copied(words[2]));
  CloseKey(key);
  ReplicateVerbatim(ctx);
  return ReplyWithSimpleString(ctx, "OK");
}

static int get(any ctx, any *words, int count) {
  any key = OpenKey(ctx, words[1], 1);
  return ReplyWithSimpleString(ctx, key ? ModuleTypeGetValue(key) : "none");
}

int RedisModule_OnLoad(any ctx, any *words, int count) {
  int (*api)(const char *, any) = ((any *)ctx)[0];
#define NEED(name) api("RedisModule_" #name, &name)
  NEED(CreateCommand);
  NEED(SetModuleAttribs);
  NEED(CreateDataType);
  NEED(OpenKey);
  NEED(CloseKey);
  NEED(ModuleTypeSetValue);
  NEED(ModuleTypeGetValue);
  NEED(StringPtrLen);
  NEED(ReplyWithSimpleString);
  NEED(SaveStringBuffer);
  NEED(LoadString);
  NEED(ReplicateVerbatim);
  SetModuleAttribs(ctx, "bkptest", 1, 1);
  static struct {
    uint64_t version;
    any methods[30];
  } methods = {1, {load, save, rewrite, 0, 0, release}};
  type = CreateDataType(ctx, "bkp-test_", 0, &methods);
  CreateCommand(ctx, "bt.set", set, "write", 1, 1, 1);
  CreateCommand(ctx, "bt.get", get, "readonly", 1, 1, 1);
  return type ? 0 : 1;
}
