// Least-privilege roles for Fieldseal on MongoDB. Run it once as a user administrator,
// and again after an upgrade: it creates what is missing and replaces what exists.
//
//   mongosh "mongodb://root@db.example/admin?tls=true" deploy/mongodb/roles.js
//
// With other names of the databases, and a keystore on another cluster:
//
//   mongosh … --eval 'var data = "ward"' deploy/mongodb/roles.js
//   mongosh … --eval 'var keystore = "ward_keystore"; var only = "keystore"' deploy/mongodb/roles.js
//
// Nobody here can drop a collection, and nobody can change or remove what the audit trail
// (collection "trail") holds. An index can be created, since a start of a new release may
// need one; it cannot be dropped.

const names = {
  data: typeof data === "undefined" ? "fieldseal" : data,
  keystore: typeof keystore === "undefined" ? "fieldseal_keystore" : keystore,
};
const onlyOn = typeof only === "undefined" ? "" : only;

// What each role may do, by database and collection; the empty collection is the database.
// Between the two marks is JSON: tests read it and compare it with what the engine sends.
// privileges: begin
const roles = {
  "fieldsealData": {
    "for": "nodes, on the data",
    "on": "data",
    "may": {
      "": ["dbStats"],
      "records": ["find", "insert", "update", "remove", "createIndex"],
      "versions": ["find", "insert", "remove", "createIndex"],
      "guards": ["find", "insert", "update"],
      "mileposts": ["find", "insert", "update", "createIndex"],
      "meta": ["find", "insert", "update"],
      "probe": ["find", "insert", "update", "remove", "createIndex"],
      "trail": ["find", "insert", "createIndex"],
      "table.accounts": ["find", "insert", "update", "remove"],
      "table.login": ["find", "insert", "update", "remove"],
      "table.break-glass": ["find", "insert", "update"],
      "table.holds": ["find", "insert", "update", "remove"],
      "table.idempotency": ["find", "insert", "update", "remove"],
      "table.index": ["find", "insert", "update", "remove"],
      "table.leases": ["find", "insert", "update", "remove"],
      "table.meta": ["find", "insert", "update", "remove"],
      "table.pages": ["find", "insert", "update", "remove"],
      "table.oauth": ["find", "insert", "update", "remove"],
      "table.nodes": ["find", "insert", "update", "remove"],
      "table.policy": ["find", "insert", "update", "remove"],
      "table.tokens": ["find", "insert", "update", "remove"]
    }
  },
  "fieldsealKeystore": {
    "for": "nodes, on the keystore",
    "on": "keystore",
    "may": {
      "": ["dbStats"],
      "records": ["createIndex"],
      "versions": ["createIndex"],
      "guards": ["insert", "update"],
      "mileposts": ["createIndex"],
      "meta": ["find", "insert", "update"],
      "probe": ["find", "insert", "update", "remove", "createIndex"],
      "table.keys": ["find", "insert", "update", "remove"],
      "table.meta": ["find", "insert", "update", "remove"]
    }
  },
  "fieldsealMoveData": {
    "for": "fieldseal migrate, on the data",
    "on": "data",
    "with": "fieldsealData",
    "may": {"": ["listCollections"]}
  },
  "fieldsealMoveKeystore": {
    "for": "fieldseal migrate, on the keystore",
    "on": "keystore",
    "with": "fieldsealKeystore",
    "may": {
      "": ["listCollections"],
      "records": ["find"],
      "versions": ["find"]
    }
  },
  "fieldsealBackupData": {
    "for": "mongodump of the data; it cannot read the keystore",
    "on": "data",
    "may": {"": ["find", "listCollections", "listIndexes", "collStats", "dbStats"]}
  },
  "fieldsealBackupKeystore": {
    "for": "mongodump of the keystore; it cannot read the data",
    "on": "keystore",
    "may": {"": ["find", "listCollections", "listIndexes", "collStats", "dbStats"]}
  },
  "fieldsealAuditor": {
    "for": "fieldseal audit verify: reads the trail and nothing else",
    "on": "data",
    "may": {"trail": ["find"]}
  }
};
// privileges: end

const admin = db.getSiblingDB("admin");
for (const [name, role] of Object.entries(roles)) {
  if (onlyOn && role.on !== onlyOn) continue;
  const privileges = Object.entries(role.may).map(([collection, actions]) => (
    {resource: {db: names[role.on], collection: collection}, actions: actions}));
  const inherited = role.with ? [{role: role.with, db: "admin"}] : [];
  if (admin.getRole(name)) admin.updateRole(name, {privileges: privileges, roles: inherited});
  else admin.createRole({role: name, privileges: privileges, roles: inherited});
  print(name + ": " + role.for);
}
print("\nCreate users with these roles, for example:");
print('  db.getSiblingDB("admin").createUser({user: "fieldseal", pwd: passwordPrompt(),');
print('    roles: [{role: "fieldsealData", db: "admin"}, {role: "fieldsealKeystore", db: "admin"}]})');
print("\nA node that dies in a commit holds up the others for as long as the server lets a transaction be open.");
print("Lower that (docs/mongodb.md, Operating), here and in the configuration of each server:");
print("  db.adminCommand({setParameter: 1, transactionLifetimeLimitSeconds: 10})");
