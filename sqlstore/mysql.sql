CREATE TABLE IF NOT EXISTS screen_statuses (
	id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
	operateId char(40) NOT NULL UNIQUE,
	conversationType int unsigned NOT NULL,
	status int unsigned NOT NULL,
	createdAt datetime NOT NULL,
	updatedAt datetime NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS friendships (
	id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
	userId int unsigned NOT NULL,
	friendId int unsigned NOT NULL,
	status int unsigned NOT NULL,
	createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	UNIQUE (userId, friendId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS group_members (
	id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
	groupId int unsigned NOT NULL,
	memberId int unsigned NOT NULL,
	role int unsigned NOT NULL DEFAULT 1,
	createdAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updatedAt datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
	UNIQUE (groupId, memberId)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
