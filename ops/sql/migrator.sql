-- The user of `holdfast migrate`. Run this as an administrator before the first migration. Replace the password.
CREATE DATABASE IF NOT EXISTS holdfast CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'holdfast_migrator'@'%' IDENTIFIED BY 'change-me';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON holdfast.* TO 'holdfast_migrator'@'%';
